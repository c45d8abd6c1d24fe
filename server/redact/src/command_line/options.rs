//! Which options take a secret: by their names, and the short ones by the program that they belong to.

use crate::secret_name::is_secret_name;

/// What the value of an option is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// A request body.
    Body,
    /// Cookie pairs.
    Cookie,
    /// A header line.
    Header,
    /// Nothing that needs care.
    Nothing,
    /// What a shell is to read.
    Script,
    /// A secret as a whole.
    Secret,
    /// `user:password`.
    UserAndPassword,
}

/// A program whose short options are known. Found among the arguments, so that `sudo mysql` and `sh -c "curl …"` count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Program {
    Curl,
    Httpie,
    Ldap,
    Mysql,
    #[default]
    Other,
    Redis,
    Sshpass,
    Wget,
}

impl Program {
    /// Looks at an argument that may be the program's name.
    pub(super) fn saw(&mut self, argument: &[u8]) {
        let base = argument
            .rsplit(|byte| *byte == b'/')
            .next()
            .unwrap_or(argument);
        let found = match base {
            b"curl" | b"curlie" => Self::Curl,
            b"ldapadd" | b"ldapdelete" | b"ldapmodify" | b"ldapsearch" | b"ldapwhoami" => {
                Self::Ldap
            }
            b"http" | b"https" => Self::Httpie,
            b"mariadb" | b"mariadb-admin" | b"mariadb-dump" | b"mysql" | b"mysqladmin"
            | b"mysqldump" | b"mysqlimport" | b"mongo" | b"mongosh" | b"mysqlpump"
            | b"mysqlshow" => Self::Mysql,
            b"redis-cli" | b"valkey-cli" => Self::Redis,
            b"sshpass" => Self::Sshpass,
            b"wget" => Self::Wget,
            _ => return,
        };
        *self = found;
    }

    /// Short options written together, with or without the value: `-sHName: value`. The flags, what the last of them
    /// takes, and what stands behind it.
    pub(super) fn cluster(self, raw: &[u8]) -> Option<(&[u8], Takes, &[u8])> {
        let [b'-', letters @ ..] = raw else {
            return None;
        };
        for (at, letter) in letters.iter().enumerate() {
            let takes = self.option(&[b'-', *letter]);
            if takes != Takes::Nothing {
                let (flags, value) = raw.split_at_checked(at + 2)?;
                return Some((flags, takes, value));
            }
            // Only curl's are known well enough to look behind the first: these take no value.
            if self != Self::Curl || !b"#0123456BGIJLMNOSVafgijklnpqsv".contains(letter) {
                return None;
            }
        }
        None
    }

    /// What the option takes, its value left out.
    pub(super) fn option(self, name: &[u8]) -> Takes {
        match name {
            b"-H" | b"--header" | b"--headers" | b"--proxy-header" | b"--add-header" => {
                return Takes::Header;
            }
            b"-c" | b"-ec" | b"-lc" | b"-xc" => return Takes::Script,
            b"--proxy-user" => return Takes::UserAndPassword,
            b"-u" | b"-U" | b"--user" if self == Self::Curl => return Takes::UserAndPassword,
            b"-a" | b"--auth" if self == Self::Httpie => return Takes::UserAndPassword,
            b"-b" | b"--cookie" if self == Self::Curl => return Takes::Cookie,
            b"--cookie" => return Takes::Cookie,
            _ => {}
        }
        if self.takes_body(name) {
            return Takes::Body;
        }
        let short_secret: &[u8] = match self {
            Self::Ldap => b"-w",
            Self::Mysql | Self::Sshpass => b"-p",
            Self::Redis => b"-a",
            Self::Curl | Self::Httpie | Self::Other | Self::Wget => b"",
        };
        let long = name.len() > 2 && is_secret_name(name);
        if long || (name == short_secret && !name.is_empty()) {
            Takes::Secret
        } else {
            Takes::Nothing
        }
    }

    fn takes_body(self, name: &[u8]) -> bool {
        match self {
            Self::Curl => {
                matches!(
                    name,
                    b"-d" | b"-F" | b"--form" | b"--form-string" | b"--json" | b"--url-query"
                ) || name.starts_with(b"--data")
            }
            Self::Wget => matches!(name, b"--post-data" | b"--body-data"),
            Self::Httpie | Self::Ldap | Self::Mysql | Self::Other | Self::Redis | Self::Sshpass => {
                false
            }
        }
    }
}
