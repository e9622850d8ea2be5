//! `simulate`: sweeps under a virtual clock.
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use hpo_core::{Goal, Seed};
use hpo_driver::config::{self, Checked, Overrides};
use hpo_driver::simulate::{self, Fault, Outcome as Played, Table};
use tempfile::NamedTempFile;

use super::args::{Manners, Simulate};
use super::exit::{Exit, Failure, OrExit, Outcome};

/// More are a slip of the fingers: their outcomes fill the memory.
const MOST_SEEDS: u64 = 1_000_000;

pub(super) fn simulate(args: &Simulate, manners: Manners) -> Outcome {
    let overrides = Overrides { set: args.set.clone(), ends: args.until_resource.is_some() };
    let load = |file: &PathBuf| {
        let checked = config::load_with(file, &overrides).map(|checked| reseeded(checked, args.seed))?;
        config::warm::take_up(checked)
    };
    let files: Vec<Checked> = args.files.iter().map(load).collect::<Result<_, _>>().or_exit(Exit::BadInput)?;
    if !manners.json {
        comparable(args, &files)?;
    }
    let name = |place: usize| args.files[place].display().to_string();
    let in_file = |(place, fault): (usize, Fault)| Failure { exit: code(&fault), why: anyhow::Error::from(fault).context(name(place)) };
    let setups = simulate::open(&files, args.workers, args.until_resource).map_err(in_file)?;
    // What cannot be written is to be known before the work is done.
    let unwritable = |path: &PathBuf| format!("cannot write {}", path.display());
    let curve = args.curve.as_ref().map(|path| Sheet::open(path).with_context(|| unwritable(path)).map(|sheet| (path, sheet)));
    let curve = curve.transpose().or_exit(Exit::BadInput)?;
    let threads = args.threads.map(usize::from).or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    let played = simulate::play_all(&setups, args.seeds.clone(), threads.unwrap_or(1)).map_err(in_file)?;
    let several = args.files.len() > 1;
    let named: Vec<(String, &[Played])> = played.iter().enumerate().map(|(place, outcomes)| (name(place), outcomes.as_slice())).collect();
    if manners.json {
        for (name, outcomes) in &named {
            for outcome in *outcomes {
                say!("{}", outcome.to_json(several.then_some(name)));
            }
        }
    } else {
        let rows = named.iter().zip(&files).map(|((name, outcomes), file)| (name.as_str(), file.spec.goal, *outcomes));
        let count = named.first().map_or(0, |(_, outcomes)| outcomes.len());
        let seeds = if count == 1 { "one seed".to_owned() } else { format!("medians over {count} seeds, with 95 % bootstrap intervals") };
        super::print(&format!("{}{seeds}\n", Table::of(rows)));
    }
    // Last: what was found is said even if this cannot be written.
    if let Some((path, sheet)) = curve {
        write_curve(sheet.file(), &named, several)
            .and_then(|()| sheet.publish())
            .with_context(|| unwritable(path))
            .or_exit(Exit::RunFolder)?;
    }
    let found = played.iter().all(|outcomes| outcomes.iter().any(|outcome| outcome.best.is_some()));
    Ok(if found { Exit::Done } else { Exit::NoResult })
}

/// The table compares each sweep with the first.
fn comparable(args: &Simulate, files: &[Checked]) -> Result<(), Failure> {
    let better = |goal| if goal == Goal::Minimize { "smaller" } else { "larger" };
    let measured = |checked: &Checked| format!("`{}`, of which {} is better", checked.spec.metric, better(checked.spec.goal));
    let Some(first) = files.first() else { return Ok(()) };
    let other = files.iter().zip(&args.files).find(|(checked, _)| measured(checked) != measured(first));
    let Some((checked, file)) = other else { return Ok(()) };
    let (file, theirs, ours) = (file.display(), measured(checked), measured(first));
    let why = anyhow::anyhow!("`{file}` measures {theirs}; the first file {ours}: a table cannot compare them, and `--json` plays them");
    Err(why).or_exit(Exit::BadInput)
}

fn reseeded(checked: Checked, seed: Option<u64>) -> Checked {
    match seed {
        Some(seed) => checked.with_seed(Seed(seed)),
        None => checked,
    }
}

/// Sweeps that come to nothing are no bad input.
fn code(fault: &Fault) -> Exit {
    match fault {
        Fault::Barren { .. } | Fault::StandsStill => Exit::NoResult,
        _ => Exit::BadInput,
    }
}

/// Where a table goes. A file that is there already stays as it is until its successor is whole.
#[derive(Debug)]
enum Sheet {
    /// A new file, beside the one whose place it takes.
    Draft { draft: NamedTempFile, path: PathBuf },
    /// A pipe or a device: nothing to be replaced.
    Stream(File),
}

impl Sheet {
    fn open(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(meta) if !meta.is_file() => return File::options().write(true).open(path).map(Self::Stream),
            _ => {}
        }
        // A link stays one, and what it leads to is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let draft = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder)?;
        Ok(Self::Draft { draft, path })
    }

    fn file(&self) -> &File {
        match self {
            Self::Draft { draft, .. } => draft.as_file(),
            Self::Stream(file) => file,
        }
    }

    fn publish(self) -> io::Result<()> {
        match self {
            Self::Draft { draft, path } => draft.persist(path).map(drop).map_err(|fault| fault.error),
            Self::Stream(_) => Ok(()),
        }
    }
}

/// A row at each improvement; of several files each row begins with its file.
fn write_curve(file: impl Write, sweeps: &[(String, &[Played])], several: bool) -> io::Result<()> {
    let mut out = csv::Writer::from_writer(BufWriter::new(file));
    let columns = ["file", "seed", "virtual_seconds", "resource", "metric", "test"];
    let own = usize::from(!several);
    out.write_record(&columns[own..])?;
    for (name, outcomes) in sweeps {
        for outcome in *outcomes {
            for better in &outcome.improvements {
                let cells = [
                    name.clone(),
                    outcome.seed.to_string(),
                    (better.at.0 as f64 / 1e3).to_string(),
                    better.resource.to_string(),
                    better.metric.to_string(),
                    better.test.map_or(String::new(), |test| test.to_string()),
                ];
                out.write_record(&cells[own..])?;
            }
        }
    }
    out.flush()
}

/// `A..B`, half-open.
pub(super) fn seeds(text: &str) -> Result<Range<u64>, String> {
    let range = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    match range {
        Some(Range { start, end }) if start < end && end - start > MOST_SEEDS => {
            Err(format!("these are {} seeds; {MOST_SEEDS} at once are the most", end - start))
        }
        Some(Range { start, end }) if start < end => Ok(start..end),
        _ => Err("write A..B with A below B, as in 0..10 for the ten seeds from 0 to 9".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_range_of_at_most_a_million() {
        assert_eq!(seeds("3..5"), Ok(3..5));
        assert_eq!(seeds("7..1000007"), Ok(7..1_000_007));
        assert_eq!(seeds("0..18446744073709551615").unwrap_err(), "these are 18446744073709551615 seeds; 1000000 at once are the most");
        assert!(seeds("7..1000008").is_err());
        for text in ["5", "5..5", "6..5", "..5", "a..5", "0..18446744073709551616"] {
            assert!(seeds(text).unwrap_err().starts_with("write A..B"), "{text}");
        }
    }

    #[test]
    fn a_file_stays_until_its_successor_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curve.csv");
        let names = || fs::read_dir(&folder).unwrap().count();
        fs::write(&path, "old").unwrap();
        drop(Sheet::open(&path).unwrap());
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names()), ("old", 1));
        let link = folder.path().join("link.csv");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let sheet = Sheet::open(&link).unwrap();
        write_curve(sheet.file(), &[], false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        sheet.publish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "seed,virtual_seconds,resource,metric,test\n");
        assert!(link.is_symlink());
        assert_eq!(names(), 2);
    }

    #[test]
    fn what_cannot_be_written_is_known_before() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Sheet::open(folder.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(Sheet::open(&folder.path().join("none/curve.csv")).unwrap_err().kind(), io::ErrorKind::NotFound);
        let device = Sheet::open(Path::new("/dev/null")).unwrap();
        assert!(matches!(device, Sheet::Stream(_)), "no device is replaced by a file");
    }
}
