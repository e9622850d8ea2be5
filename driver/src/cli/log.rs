//! Logs go to standard error.
use std::ffi::OsStr;
use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::args::{Command, Manners};

/// What is logged, in the place of what the command would log.
const VARIABLE: &str = "HPO_LOG";

/// Without `HPO_LOG` only warnings are logged, unless asked for more; programs that run for long and show nothing else say what
/// happens.
pub(super) fn begin(command: &Command, manners: Manners) {
    let default = match manners.verbose {
        _ if manners.quiet => "error",
        0 if matches!(command, Command::Worker(_) | Command::Driver(_)) => "info",
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let given = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
    let filter = given.as_deref().map(read).and_then(|read| {
        // Of a trainer its worker has said it.
        let told = read.inspect_err(|why| {
            if !matches!(command, Command::Trainer(_)) {
                mention!("warning: {VARIABLE} is ignored: {why}")
            }
        });
        told.ok()
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|| EnvFilter::new(default)))
        .with_writer(|| Unminded(std::io::stderr()))
        .with_ansi(colours)
        .with_target(false)
        .init();
}

/// What the variable asks for. A word that is no level would be taken for the name of a module, and all others would be silent.
fn read(value: &OsStr) -> Result<EnvFilter, String> {
    let wanted = "write error, warn, info, debug, trace or off, or a list such as `warn,hpo_driver=debug`";
    let text = value.to_str().ok_or_else(|| format!("it is not text; {wanted}"))?;
    let is_known = |word: &str| word.parse::<LevelFilter>().is_ok() || word.contains(['=', '[']) || word.starts_with("hpo");
    if let Some(word) = text.split(',').map(str::trim).find(|word| !word.is_empty() && !is_known(word)) {
        return Err(format!("`{word}` is no level; {wanted}"));
    }
    let words: Vec<&str> = text.split(',').map(str::trim).collect();
    EnvFilter::try_new(words.join(",")).map_err(|why| format!("`{text}` cannot be read ({why}); {wanted}"))
}

/// A log that nobody reads any more stops nothing.
struct Unminded<W>(W);

impl<W: std::io::Write> std::io::Write for Unminded<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_how_much_is_heeded_and_anything_else_is_named() {
        for good in [
            "info",
            "3",
            "WARN",
            "off",
            "warn,hpo_driver=debug",
            "hpo_worker::agent=trace",
            "hpo_driver",
            "h2=off,debug",
            "info, tonic=warn",
        ] {
            assert!(read(good.as_ref()).is_ok(), "{good}");
        }
        let wrong = |value: &str| read(value.as_ref()).map(drop).unwrap_err();
        let help = "write error, warn, info, debug, trace or off, or a list such as `warn,hpo_driver=debug`";
        assert_eq!(wrong("verbose"), format!("`verbose` is no level; {help}"));
        assert_eq!(wrong("info,everything"), format!("`everything` is no level; {help}"));
        assert!(wrong("hpo_driver=loud").starts_with("`hpo_driver=loud` cannot be read ("), "{}", wrong("hpo_driver=loud"));
    }
}
