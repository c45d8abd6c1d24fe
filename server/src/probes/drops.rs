//! Names of the reasons why the kernel drops packets, as this kernel has them.

use headwater_schema::flow::counter;

use super::Btf;

/// `enum skb_drop_reason`; empty where the kernel has none (before Linux 5.17) or tells no types.
#[derive(Debug, Default)]
pub(crate) struct DropReasons(Vec<Option<Box<str>>>);

impl DropReasons {
    /// Those of the running kernel.
    pub(crate) fn of(btf: &Btf) -> Self {
        let mut names = Vec::new();
        for (name, value) in btf.enumerators("skb_drop_reason").unwrap_or_default() {
            let Some(name) = name.strip_prefix("SKB_DROP_REASON_") else {
                continue;
            };
            let place = value as usize;
            if place + 1 >= counter::DROP_REASONS as usize {
                continue;
            }
            if names.len() <= place {
                names.resize(place + 1, None);
            }
            if let Some(at) = names.get_mut(place) {
                *at = Some(name.into());
            }
        }
        Self(names)
    }

    /// Number of the one that says nothing: what is above it are reasons.
    pub(crate) fn not_specified(&self) -> Option<u32> {
        let place = self
            .0
            .iter()
            .position(|name| name.as_deref() == Some("NOT_SPECIFIED"))?;
        u32::try_from(place).ok()
    }

    /// How many numbers have names, at most one less than are counted each for itself.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(0)
    }

    /// Whether this kernel has any.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The kernel's name of one; those of its subsystems (beyond 65,535) have none here.
    pub(crate) fn name(&self, reason: u32) -> &str {
        let name = self.0.get(reason as usize).and_then(Option::as_deref);
        name.unwrap_or("OTHER_REASONS")
    }
}
