//! Holds what a decoder says against the truth.

use std::collections::HashMap;

use headwater_protocols::hpack::{Field, Text, Unknown};

#[derive(Default)]
pub(crate) struct Witness {
    names: HashMap<Unknown, Vec<u8>>,
    values: HashMap<Unknown, Vec<u8>>,
    pub(crate) known: usize,
    pub(crate) unknown_names: usize,
    pub(crate) unknown_values: usize,
}

impl Witness {
    /// A known text is the true one, and an unknown one of the same number as before is the same as before.
    pub(crate) fn check(&mut self, field: Field<'_>, name: &[u8], value: &[u8]) {
        match field.value {
            Text::Known(found) => {
                assert_eq!(found, value, "a wrong value");
                self.known += 1;
            }
            Text::Unknown(unknown) => {
                let before = self.values.entry(unknown).or_insert_with(|| value.into());
                assert_eq!(before, value, "values of {unknown}");
                self.unknown_values += 1;
            }
        }
        match field.name {
            Text::Known(found) => assert_eq!(found, name, "a wrong name"),
            Text::Unknown(unknown) => {
                let before = self.names.entry(unknown).or_insert_with(|| name.into());
                assert_eq!(before, name, "names of {unknown}");
                self.unknown_names += 1;
            }
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.known += other.known;
        self.unknown_names += other.unknown_names;
        self.unknown_values += other.unknown_values;
    }
}
