//! Routes: what paths have in common, learned from them.
//!
//! Owns: their caps, and where a path's segment is a name. `headwater-redact` marks what is a number or the like (`{}`); a
//! word is known to be one of many (`{name}`) when so many have come in its place: from then on no new word there is a route of
//! its own. Those that came before keep theirs: a path has one route for good. What was learned is in the templates that are
//! stored. Nothing is learned of the first segment, where strangers try their luck, or of what the server did not answer well.

use std::collections::HashSet;

use rusqlite::{Connection, params};

use crate::ledger::FastMap;
use crate::names::OTHER;

/// All routes.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// By service.
    services: FastMap<i64, OfService>,
    /// Rows of the table.
    count: usize,
}

#[derive(Debug, Default)]
struct OfService {
    /// By template.
    ids: FastMap<Box<str>, i64>,
    /// Beginnings of templates, with the slash at their end, behind which a segment is a name.
    learned: HashSet<Box<str>>,
}

impl Routes {
    /// Reads what the store knows.
    pub(crate) fn load(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        *self = Self::default();
        let mut statement = connection.prepare("SELECT id, service_id, template FROM route")?;
        let rows = statement.query_map([], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, String>(2)?,
            ))
        })?;
        let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        self.count = rows.len();
        for (id, service, template) in rows {
            let of = self.services.entry(service).or_default();
            for (at, _) in template.match_indices(NAME) {
                of.learned.extend(template.get(..at).map(Box::from));
            }
            of.ids.insert(template.into(), id);
        }
        Ok(())
    }

    /// The id of a route of `service`, or none beyond the caps; `is_good` says whether the server knew the path.
    pub(crate) fn get(
        &mut self,
        connection: &Connection,
        service: i64,
        template: &str,
        is_good: bool,
    ) -> rusqlite::Result<Option<i64>> {
        let of = self.services.entry(service).or_default();
        if let Some(id) = of.ids.get(template) {
            return Ok(Some(*id));
        }
        let named = of.named(template);
        let template = named.as_deref().unwrap_or(template);
        if let Some(id) = of.ids.get(template) {
            return Ok(Some(*id));
        }
        if of.ids.len() >= MOST_ROUTES_OF_SERVICE || self.count >= MOST_ROUTES {
            return Ok(None);
        }
        if is_good {
            of.learn(template);
        }
        // It may be one of those whose name has just been learned.
        let named = of.named(template);
        let template = named.as_deref().unwrap_or(template);
        self.insert(connection, service, template).map(Some)
    }

    /// The route that stands for those beyond the caps.
    pub(crate) fn other(&mut self, connection: &Connection, service: i64) -> rusqlite::Result<i64> {
        let of = self.services.entry(service).or_default();
        match of.ids.get(OTHER) {
            Some(id) => Ok(*id),
            None => self.insert(connection, service, OTHER),
        }
    }

    /// Whether rows that nothing uses any more should be looked for.
    pub(crate) fn is_nearly_full(&self) -> bool {
        self.count >= MOST_ROUTES / 4 * 3
    }

    fn insert(
        &mut self,
        connection: &Connection,
        service: i64,
        template: &str,
    ) -> rusqlite::Result<i64> {
        connection
            .prepare_cached("INSERT INTO route (service_id, template) VALUES (?, ?)")?
            .execute(params![service, template])?;
        let id = connection.last_insert_rowid();
        let of = self.services.entry(service).or_default();
        of.ids.insert(template.into(), id);
        self.count += 1;
        Ok(id)
    }
}

impl OfService {
    /// The template with `{name}` where that was learned; none where nothing was.
    fn named(&self, template: &str) -> Option<String> {
        if self.learned.is_empty() || is_grpc(template) {
            return None;
        }
        let (mut out, mut is_named) = (String::with_capacity(template.len()), false);
        for (at, segment) in template.split('/').enumerate() {
            if at > 0 {
                out.push('/');
            }
            if is_word(segment) && self.learned.contains(out.as_str()) {
                out.push_str(NAME);
                is_named = true;
            } else {
                out.push_str(segment);
            }
        }
        is_named.then_some(out)
    }

    /// Looks whether too many words have come in the place of one of a new template's, this one counted.
    fn learn(&mut self, template: &str) {
        if is_grpc(template) {
            return;
        }
        let mut at = 0;
        for segment in template.split('/') {
            let before = template.get(..at).unwrap_or_default();
            at += segment.len() + 1;
            if !is_word(segment) || before.len() < 2 {
                continue;
            }
            let words: HashSet<&str> = self
                .ids
                .keys()
                .filter_map(|known| known.strip_prefix(before))
                .filter_map(|rest| rest.split('/').next())
                .filter(|word| is_word(word))
                .collect();
            if words.len() + usize::from(!words.contains(segment)) > MOST_WORDS {
                self.learned.insert(before.into());
                return;
            }
        }
    }
}

/// Whether a segment of a template is text of its own: redaction's marks begin with a brace, which no captured text does.
fn is_word(segment: &str) -> bool {
    !segment.is_empty() && !segment.starts_with('{') && segment != "…"
}

/// `/package.Service/Method`: as many methods as there are, each is a route.
fn is_grpc(template: &str) -> bool {
    let mut segments = template.split('/').skip(1);
    let service = segments.next().unwrap_or_default();
    service.contains('.') && segments.next().is_some() && segments.next().is_none()
}

const NAME: &str = "{name}";
/// Words in one place that are routes of their own: an interface has fewer, users and files are more.
const MOST_WORDS: usize = 64;
pub(crate) const MOST_ROUTES_OF_SERVICE: usize = 500;
/// Of all services together: about 3 MiB of memory.
const MOST_ROUTES: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE route (id INTEGER PRIMARY KEY, service_id INTEGER NOT NULL, template TEXT NOT NULL, \
                 UNIQUE (service_id, template))",
            )
            .unwrap();
        connection
    }

    fn template(connection: &Connection, id: i64) -> String {
        let sql = "SELECT template FROM route WHERE id = ?";
        connection.query_row(sql, [id], |row| row.get(0)).unwrap()
    }

    /// Letters, as names are.
    fn name(number: usize) -> String {
        let letter = |at: usize| char::from(b'a' + u8::try_from(at % 26).unwrap());
        [letter(number / 26), letter(number), 'x'].iter().collect()
    }

    #[test]
    fn many_words_in_one_place_are_names() {
        let connection = connection();
        let mut routes = Routes::default();
        let get = |routes: &mut Routes, path: &str| {
            let id = routes.get(&connection, 1, path, true).unwrap();
            template(&connection, id.unwrap())
        };
        for fixed in ["/health", "/users", "/users/{}/posts"] {
            assert_eq!(get(&mut routes, fixed), fixed);
        }
        for number in 0..MOST_WORDS {
            let path = format!("/users/{}/posts", name(number));
            assert_eq!(get(&mut routes, &path), path);
        }
        let new = format!("/users/{}/posts", name(600));
        assert_eq!(get(&mut routes, &new), "/users/{name}/posts");
        let likes = format!("/users/{}/likes", name(700));
        assert_eq!(get(&mut routes, &likes), "/users/{name}/likes");
        // A path that has a route keeps it, now and after a start.
        let old = format!("/users/{}/posts", name(3));
        let mut again = Routes::default();
        again.load(&connection).unwrap();
        for routes in [&mut routes, &mut again] {
            assert_eq!(get(routes, &old), old);
            assert_eq!(get(routes, &new), "/users/{name}/posts");
            assert_eq!(get(routes, "/health"), "/health");
            assert_eq!(get(routes, "/users/{}/posts"), "/users/{}/posts");
        }
        // Another service has learned nothing.
        let id = again.get(&connection, 2, &new, true).unwrap().unwrap();
        assert_eq!(template(&connection, id), new);
    }

    #[test]
    fn what_strangers_try_teaches_nothing() {
        let connection = connection();
        let mut routes = Routes::default();
        for number in 0..200 {
            let tried = [
                format!("/{}", name(number)),
                format!("/admin/{}", name(number)),
            ];
            for (path, is_good) in tried.iter().zip([true, false]) {
                let id = routes.get(&connection, 1, path, is_good).unwrap().unwrap();
                assert_eq!(template(&connection, id), *path);
            }
        }
    }

    #[test]
    fn methods_of_grpc_are_routes() {
        let connection = connection();
        let mut routes = Routes::default();
        for number in 0..200 {
            let method = format!("/shop.Orders/{}", name(number));
            let id = routes.get(&connection, 1, &method, true).unwrap().unwrap();
            assert_eq!(template(&connection, id), method);
        }
    }

    #[test]
    fn what_is_beyond_the_cap_is_other() {
        let connection = connection();
        let mut routes = Routes::default();
        // No two words in one place: nothing to learn.
        for number in 0..MOST_ROUTES_OF_SERVICE {
            let deep = format!("/shop.Orders/{}", name(number));
            assert!(routes.get(&connection, 1, &deep, true).unwrap().is_some());
        }
        assert_eq!(
            routes
                .get(&connection, 1, "/shop.Orders/one-more", true)
                .unwrap(),
            None
        );
        let other = routes.other(&connection, 1).unwrap();
        assert_eq!(routes.other(&connection, 1).unwrap(), other);
    }
}
