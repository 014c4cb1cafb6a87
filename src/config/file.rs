//! The configuration file: what it says of all connections, and the servers that have a name.
//!
//! Not here: which keys there are (`table`), and who may write the file (`files`).

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use imapadm::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::profile::{Origin, Profile};
use super::table::{self, Opt, Reader};
use crate::files;

/// The configuration file: what it says of all connections, and the servers that have a name.
#[derive(Debug, Clone, Default)]
pub struct Config {
    file: PathBuf,
    defaults: Profile,
    servers: BTreeMap<String, Profile>,
}

impl Config {
    /// Reads the user's file, if there is one.
    ///
    /// # Errors
    /// [`Error::Usage`] for a file that can't be read or that says what makes no sense, with line and column.
    pub fn load() -> Result<Self, Error> {
        let Some(file) = files::config() else {
            return Ok(Self::default());
        };
        // It names commands to run and servers to give passwords to.
        let Some(text) = files::read(&file)? else {
            return Ok(Self {
                file,
                ..Self::default()
            });
        };
        Self::read(&file, &text)
    }

    pub(super) fn read(file: &Path, text: &str) -> Result<Self, Error> {
        let reading = Reading { file, text };
        let parsed = DeTable::parse(text)
            .map_err(|error| reading.wrong(error.span(), error.message().trim_end()))?;
        let mut defaults = Profile::default();
        let mut servers = BTreeMap::new();
        for (name, value) in parsed.get_ref() {
            let table = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
                DeValue::Table(_) => Ok(()),
                _ => Err(reading.wrong(Some(value.span()), "a table is expected here")),
            };
            match name.get_ref().as_ref() {
                "defaults" => {
                    table(value)?;
                    defaults = reading.profile(value)?;
                }
                "servers" => {
                    table(value)?;
                    for (name, value) in value.get_ref().as_table().into_iter().flatten() {
                        table(value)?;
                        let server = reading.server(name.get_ref(), value)?;
                        servers.insert(name.get_ref().to_string(), server);
                    }
                }
                other => {
                    let why = format!("unknown table {other:?}; use [defaults] or [servers.NAME]");
                    return Err(reading.wrong(Some(name.span()), &why));
                }
            }
        }
        Ok(Self {
            file: file.to_owned(),
            defaults,
            servers,
        })
    }

    /// The names of the servers, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.servers.keys().map(String::as_str)
    }

    /// What is said of the server that a word names, and who says it: one of the file, else the word's own notation.
    ///
    /// # Errors
    /// [`Error::Usage`] for what names no server.
    pub fn server(&self, word: &str, port: Option<&str>) -> Result<(Origin, Profile), Error> {
        let Some(named) = self.servers.get(word) else {
            return Ok((Origin::Notation, Profile::notation(word, port)?));
        };
        let mut profile = named.clone();
        if port.is_some() {
            profile.port = Profile::notation("localhost", port)?.port;
        }
        Ok((Origin::Server(self.file.clone(), word.to_owned()), profile))
    }

    /// What the file says of every connection.
    pub fn defaults(&self) -> (Origin, Profile) {
        (Origin::Defaults(self.file.clone()), self.defaults.clone())
    }
}

/// A file that is being read.
struct Reading<'a> {
    file: &'a Path,
    text: &'a str,
}

impl Reading<'_> {
    /// What is wrong, with its line and column.
    fn wrong(&self, at: Option<Range<usize>>, why: &str) -> Error {
        let at = at.map_or(0, |span| span.start.min(self.text.len()));
        let before = self.text.get(..at).unwrap_or_default();
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Error::Usage(format!(
            "{}:{}:{column}: {}; correct the configuration",
            self.file.display(),
            self.line(at),
            why.replace('\n', ", ")
        ))
    }

    fn line(&self, at: usize) -> usize {
        self.text
            .get(..at)
            .unwrap_or_default()
            .matches('\n')
            .count()
            + 1
    }

    /// What a table says, key by key.
    fn profile(&self, table: &Spanned<DeValue<'_>>) -> Result<Profile, Error> {
        let mut profile = Profile::default();
        let Some(keys) = table.get_ref().as_table() else {
            return Ok(profile);
        };
        for key in keys.keys() {
            known(key.get_ref()).map_err(|why| self.wrong(Some(key.span()), &why))?;
        }
        // In the table's order: the host's notation may hold what other keys then say better.
        let mut said: Option<(&str, &str)> = None;
        for (setting, option) in table::options(table::FILE) {
            let names = [Some(option.name), option.alias.map(|(name, _)| name)];
            for name in names.into_iter().flatten() {
                let Some((key, value)) = keys.get_key_value(name) else {
                    continue;
                };
                if let Some((before, _)) = said.filter(|(_, other)| *other == setting.name) {
                    let why = format!("{before} and {name} cannot be combined; keep one");
                    return Err(self.wrong(Some(key.span()), &why));
                }
                said = Some((name, setting.name));
                self.value(&mut profile, option, value.get_ref())
                    .map_err(|why| self.wrong(Some(value.span()), &why))?;
                profile
                    .lines
                    .insert(setting.name, self.line(key.span().start));
            }
        }
        Ok(profile)
    }

    /// Reads the value of a key.
    fn value(
        &self,
        profile: &mut Profile,
        option: &Opt,
        value: &DeValue<'_>,
    ) -> Result<(), String> {
        match (option.reader, value) {
            (Reader::Switch(set), DeValue::Boolean(on)) => {
                set(profile, *on);
                Ok(())
            }
            (Reader::Switch(_), _) => Err(format!("{} must be true or false", option.name)),
            (Reader::Path(set), DeValue::String(path)) => {
                set(profile, self.place(Path::new(path.as_ref())));
                Ok(())
            }
            (
                Reader::Text(read) | Reader::Number(read) | Reader::List(read),
                DeValue::String(text),
            ) => read(profile, text),
            (Reader::Number(read), DeValue::Integer(number)) => read(profile, &number.to_string()),
            (Reader::Number(read), DeValue::Float(number)) => read(profile, number.as_str()),
            (Reader::List(read), DeValue::Array(words)) => {
                let words = words.iter().map(|word| word.get_ref().as_str());
                let words: Option<Vec<_>> = words.collect();
                let wrong = || format!("{} must be a string, or an array of strings", option.name);
                read(profile, &words.ok_or_else(wrong)?.join(","))
            }
            (Reader::Number(_), _) => Err(format!("{} must be a number or a string", option.name)),
            (Reader::List(_), _) => Err(format!(
                "{} must be a string, or an array of strings",
                option.name
            )),
            (Reader::Text(_) | Reader::Path(_), _) => {
                Err(format!("{} must be a string in quotes", option.name))
            }
        }
    }

    /// Where a path of the file leads: it is relative to the file's folder, or begins with `~/`.
    fn place(&self, path: &Path) -> PathBuf {
        match (path.strip_prefix("~"), dirs::home_dir()) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => self.file.parent().unwrap_or(Path::new("/")).join(path),
        }
    }

    /// What is said of a server with a name.
    fn server(&self, name: &str, table: &Spanned<DeValue<'_>>) -> Result<Profile, Error> {
        let mut profile = self.profile(table)?;
        if profile.host.is_none() {
            // A name that is a host need not be written twice.
            let notation = Profile::notation(name, None).map_err(|error| {
                let file = self.file.display();
                Error::Usage(format!("{file}, [servers.{name}]: {error}"))
            })?;
            profile.host = notation.host;
            profile.port = profile.port.or(notation.port);
            profile.security = profile.security.or(notation.security);
        }
        Ok(profile)
    }
}

/// That a key can be written in the file; the error says what to write instead.
fn known(key: &str) -> Result<(), String> {
    let has = |option: &Opt, name: &str| {
        option.name == name || option.alias.is_some_and(|(alias, _)| alias == name)
    };
    if table::options(table::FILE).any(|(_, option)| has(option, key)) {
        return Ok(());
    }
    if ["password", "token"].contains(&key) {
        return Err(format!(
            "a {key} does not belong in this file; use {key}-command, or {key}-file with a file that only you can read"
        ));
    }
    if table::options(table::COMMAND_LINE).any(|(_, option)| has(option, key)) {
        return Err(format!(
            "{key} cannot be set in the configuration; give it on the command line: --{key}"
        ));
    }
    let near = table::options(table::FILE)
        .map(|(_, option)| (strsim::damerau_levenshtein(option.name, key), option.name))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    let hint = near.map(|(_, name)| format!("; did you mean {name}?"));
    Err(format!("unknown key {key:?}{}", hint.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::super::profile::security_word;
    use super::*;

    fn config(text: &str) -> Result<Config, String> {
        Config::read(Path::new("/etc/x/config.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_makes_no_sense_has_its_line_and_column() {
        for (text, words) in [
            (
                "[servers.a]\nhost = \"h\"\npasword-file = \"x\"\n",
                ":3:1: unknown key \"pasword-file\"; did you mean password-file?",
            ),
            ("[server.a]\n", ":1:2: unknown table \"server\""),
            (
                "[defaults]\nsecurity = \"ssl\"\n",
                ":2:12: invalid security \"ssl\"",
            ),
            ("[defaults]\nport = 0\n", ":2:8:"),
            ("[defaults]\ntimeout = -1\n", ":2:11: write a number"),
            (
                "[defaults]\npassword = \"x\"\n",
                ":2:1: a password does not belong",
            ),
            (
                "[defaults]\nno-verify = true\n",
                ":2:1: no-verify cannot be set in the configuration",
            ),
            (
                "[defaults]\nuser = 5\n",
                ":2:8: user must be a string in quotes",
            ),
            (
                "[defaults]\ncompress = \"yes\"\n",
                ":2:12: compress must be true or false",
            ),
            ("[servers]\na = 1\n", ":2:5: a table is expected"),
            (
                "[servers.a]\nhost = \"h:1143\"\nport = 993\n",
                ":3:8: the server has port 1143",
            ),
            ("[defaults]\nauth = \"NTLM\"\n", ":2:8:"),
            ("[defaults]\npin = \"md5:00\"\n", ":2:7:"),
            ("[defaults\n", ":1:10:"),
            (
                "[servers.a]\npassword-file = \"x\"\npassword-command = \"y\"\n",
                ":3:1: password-file and password-command cannot be combined",
            ),
            ("[servers.\"a b\"]\n", "[servers.a b]:"),
        ] {
            let error = config(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn every_key_of_the_table_is_read() {
        for (setting, option) in table::options(table::FILE) {
            let value = match (option.reader, table::sample(option)) {
                (Reader::Switch(_), _) => "true".to_owned(),
                (_, text) => format!("{text:?}"),
            };
            for name in [Some(option.name), option.alias.map(|(name, _)| name)]
                .into_iter()
                .flatten()
            {
                let config = config(&format!("[servers.a]\n{name} = {value}\n")).unwrap();
                let (_, profile) = config.server("a", None).unwrap();
                assert!(setting.is_said(&profile), "{name}");
                assert_eq!(profile.line(setting.name), Some(2), "{name}");
            }
        }
    }

    #[test]
    fn what_a_host_says_is_corrected_by_other_keys() {
        let text = "[servers.a]\nhost = \"imaps://bob@h\"\n[servers.b]\nsecurity = \"none\"\nhost = \"imaps://bob@h\"\nuser = \"zoe\"\nport = 5\n";
        let config = config(text).unwrap();
        let of = |name: &str| {
            let (_, profile) = config.server(name, None).unwrap();
            (
                profile.user,
                profile.security.map(security_word),
                profile.port,
            )
        };
        assert_eq!(of("a"), (Some("bob".into()), Some("tls"), None));
        assert_eq!(of("b"), (Some("zoe".into()), Some("none"), Some(5)));
    }
}
