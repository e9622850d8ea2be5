//! Everything that can be said about a sweep file, in one place, so that the wording can be read through.
use std::io::ErrorKind;
use std::path::PathBuf;

use hpo_core::schedule::{BracketsFault, LadderFault};
use hpo_core::space::{PoolFault, ROW, SpaceFaultKind};
use hpo_searchers::{GridFault, PartialFault};
use thiserror::Error;

use super::text::{list, nearest};

/// What is wrong at one place of a sweep file. [`Message::help`] says what to do about it.
#[derive(Debug, Error)]
pub(super) enum Message {
    // --- the file
    #[error("cannot read `{}`: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("this is not TOML: {what}")]
    Syntax { what: String },

    #[error("`--set {given}` cannot be put into a sweep file")]
    Set { given: String },

    // --- its words
    #[error("{table} has no key `{key}`")]
    UnknownKey { table: String, key: String, known: Vec<&'static str> },
    #[error("{table} with kind = \"{kind}\" has no key `{key}`")]
    KeyOfOtherKind { table: String, key: String, its_kinds: Vec<&'static str>, kind: &'static str },
    #[error("not built yet in this version: {what}")]
    NotBuilt { what: String, available: Vec<&'static str> },
    #[error("{table} needs {what}: {doc}")]
    Missing { table: String, what: String, doc: String },
    #[error("expected {wanted}, found {found}")]
    WrongType { wanted: &'static str, found: String },
    #[error("`{word}` is not a known {what}")]
    UnknownWord { what: &'static str, word: String, known: Vec<&'static str> },
    #[error("{found} is out of range: expected {wanted}")]
    OutOfRange { wanted: String, found: String },
    #[error("`{text}` is not a length of time")]
    Duration { text: String },
    #[error("the environment variable `{name}` is not set")]
    EnvUnset { name: String },
    #[error("`${{` without a name and a closing brace")]
    EnvSyntax,

    // --- [sweep]
    #[error("`{name}` cannot name a run folder")]
    SweepName { name: String },
    #[error("the metric has no name")]
    NoMetric,
    #[error("nothing ends this sweep")]
    NoEnd,
    #[error("the built-in trainer reports no metric `{metric}`")]
    UnknownMetric { metric: String, known: Vec<&'static str> },
    #[error("to {goal} `{metric}` makes the worst model win")]
    WrongGoal { metric: String, goal: &'static str, opposite: &'static str },
    #[error("{target} is no target for `{metric}`")]
    NoTarget { metric: String, target: f64 },

    // --- [space]
    #[error("there is nothing to search: no parameter can vary")]
    NothingVaries,
    #[error("the name `{begin}...` has {bytes} bytes; {most} are the most")]
    LongName { begin: String, bytes: usize, most: usize },
    #[error("a value of parameter `{name}` has {bytes} bytes; {most} are the most")]
    LongText { name: String, bytes: usize, most: usize },
    #[error("a value of parameter `{name}` has a NUL character, which no program can be given")]
    NulInText { name: String },
    #[error("`{name}` cannot name a parameter")]
    ParameterName { name: String },
    #[error("`{name}` means something else in a command")]
    ReservedName { name: String },
    #[error("parameter `{parameter}` does not say which values it takes")]
    NoDomain { parameter: String },
    #[error("parameter `{parameter}` is both `{first}` and `{second}`")]
    TwoDomains { parameter: String, first: &'static str, second: &'static str },
    #[error("`{key}` does not go with `{domain}`")]
    KeyOfOtherDomain { key: &'static str, domain: &'static str, goes_with: Vec<&'static str> },
    #[error("a whole number needs a whole step of at least 1, not {step}")]
    IntStep { step: f64 },
    #[error("a parameter that is `bool = false` takes no values")]
    BoolFalse,
    #[error("this condition can never hold: it lists no value")]
    EmptyCondition,
    #[error("parameter `{parameter}`: {kind}")]
    Space { parameter: String, kind: SpaceFaultKind, known: Vec<String> },

    #[error("`{name}` names a file, as only `pool` does")]
    PoolName { name: String },
    #[error("a pool is the whole space, and stands here beside {}", list(others))]
    PoolBeside { others: Vec<String> },
    #[error("cannot read `{}` as a table: {what}", path.display())]
    NoTable { path: PathBuf, what: String },
    #[error("`{}` has no column `{column}`", path.display())]
    NoColumn { column: String, path: PathBuf, known: Vec<String> },
    #[error("`{}` has nothing in column `{column}` on line {line}", path.display())]
    EmptyCell { column: String, path: PathBuf, line: u64 },
    #[error("`{}` has `{text}` in column `{column}` on line {line}, among numbers", path.display())]
    CellNotFinite { column: String, path: PathBuf, line: u64, text: String },
    #[error("the pool cannot be used: {0}")]
    Pool(PoolFault),

    // --- [scheduler]
    #[error("{0}")]
    Ladder(LadderFault),
    #[error("of {bracket} trials none would come to max_resource: {least} are needed")]
    Bracket { bracket: u32, least: u32 },
    #[error("{0}")]
    Brackets(BracketsFault),
    #[error("`{key}` does not go with `weights`")]
    BesideWeights { key: &'static str },

    // --- [searcher]
    #[error("{0}")]
    Grid(GridFault),
    #[error("{fault}")]
    Point { fault: PartialFault, known: Vec<String> },
    #[error("an ensemble needs members")]
    NoMembers,

    // --- [trial]
    #[error("there is no {what} `{}`", path.display())]
    NoSuchPath { what: &'static str, path: PathBuf },
    #[error("the shares of the split sum to {sum}, which is more than 1")]
    SplitSum { sum: f64 },
    #[error("of {count} images none would be left for `{share}`")]
    EmptyShare { count: u32, share: &'static str },
    #[error("the command is empty")]
    EmptyCommand,
    #[error("this word of the command has a NUL character, which no program can be given")]
    NulInWord,
    #[error("no environment can hold the variable {name:?}")]
    NoVariable { name: String },
    #[error("the command asks for `{{{name}}}`, which is neither a parameter nor a word that hpo fills in")]
    UnknownPlaceholder { name: String, known: Vec<String> },
    #[error("this is not a regular expression: {what}")]
    Pattern { what: String },
    #[error("the pattern needs exactly one group, which finds the metric, and has {groups}")]
    PatternGroups { groups: usize },

    // --- [workers]
    #[error("a worker that speaks every {heartbeat} would lose its lease of {lease} to one late message")]
    Heartbeat { heartbeat: String, lease: String },

    // --- [slurm]
    #[error("`{value}` cannot be a value of `{key}`")]
    SlurmWord { key: &'static str, value: String },
    #[error("`{option}` is not an option of sbatch in its long form")]
    SlurmOption { key: &'static str, option: String },
    #[error("`{option}` is set by hpo itself")]
    SlurmOwn { option: String },
    #[error("with a notice of {notice} a trainer that takes its grace of {grace} would be killed before it has saved its state")]
    Notice { notice: String, grace: String },
    #[error("a time limit of {limit} leaves nothing before the notice of {notice}")]
    SlurmTime { limit: String, notice: String },
}

/// What to do about a sweep file that cannot be read.
fn help_to_read(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::NotFound => Some("`hpo init` writes a commented sweep file to start from"),
        ErrorKind::IsADirectory => Some("give a sweep file; `hpo resume` and `hpo driver` go on with a run folder"),
        ErrorKind::PermissionDenied => Some("you may not read it: ask its owner"),
        ErrorKind::InvalidData => Some("a sweep file is text in UTF-8; `iconv -f latin1 -t utf-8` makes it that of a file in Latin-1"),
        _ => None,
    }
}

impl Message {
    /// Whether it is true of its key or value, whatever else stands in the file.
    pub(super) fn is_of_its_line(&self) -> bool {
        matches!(
            self,
            Self::UnknownKey { .. } | Self::UnknownWord { .. } | Self::WrongType { .. } | Self::OutOfRange { .. } | Self::Duration { .. }
        )
    }

    /// What to do about it.
    pub(super) fn help(&self) -> Option<String> {
        let help = match self {
            Self::Unreadable { source, .. } => return help_to_read(source.kind()).map(str::to_owned),
            Self::Syntax { .. } | Self::Missing { .. } | Self::NoSuchPath { .. } => return self.help_to_find(),
            Self::Set { .. } => "write PATH=VALUE: `--set scheduler.eta=4`, `--set 'space.lr={ uniform = [0, 1] }'`".to_owned(),
            Self::UnknownKey { key, known, .. } => suggest(key, known),
            Self::UnknownWord { word, known, .. } => match nearest(word, known) {
                Some(near) => format!("did you mean `{near}`? known: {}", list(known)),
                None => format!("known: {}", list(known)),
            },
            Self::UnknownMetric { metric, known } => suggest(metric, known),
            Self::UnknownPlaceholder { name, known } => {
                let what = suggest(name, known);
                let stop = if what.ends_with('?') { "" } else { ";" };
                format!("{what}{stop} write `{{{{{name}}}}}` for `{{{name}}}` itself")
            }
            Self::KeyOfOtherKind { its_kinds, .. } => format!("remove it; it belongs to kind = \"{}\"", its_kinds.join("\", \"")),
            Self::NotBuilt { available, .. } if available.is_empty() => "remove it to run this version".to_owned(),
            Self::NotBuilt { available, .. } => format!("available now: {}", list(available)),
            Self::Duration { .. } => "write for example \"30s\", \"10m\", \"2h\" or \"01:30:00\"".to_owned(),
            Self::EnvUnset { name } if name == super::DATA_DIR => {
                format!("export {name}=FOLDER, the one in which the data sets lie")
            }
            Self::EnvUnset { name } => format!("export {name}=..., or write `$${{{name}}}` for `${{{name}}}` itself"),
            Self::EnvSyntax => "write `${NAME}` to take a value from the environment, `$${` for `${` itself".to_owned(),
            Self::SweepName { .. } => "use letters, digits, `-`, `_` and `.`, beginning with a letter or digit, at most 100".to_owned(),
            Self::NoMetric => "name the figure that every report carries, for example metric = \"val_loss\"".to_owned(),
            Self::NoEnd => "set at least one of `max_trials`, `gpu_hours`, `wall` and `target`".to_owned(),
            Self::WrongGoal { opposite, .. } => format!("set goal = \"{opposite}\""),
            Self::NoTarget { .. } => "accuracies lie between 0 and 1, losses above 0".to_owned(),
            Self::NothingVaries => "add a parameter, for example lr = { log_uniform = [1e-4, 1e-1] }".to_owned(),
            Self::LongName { .. } => "take a shorter name".to_owned(),
            Self::LongText { .. } | Self::NulInText { .. } | Self::NulInWord => "put such a text into a file, and name the file".to_owned(),
            Self::ParameterName { .. } => "use letters, digits, `_` and `-`, beginning with a letter".to_owned(),
            Self::ReservedName { name } => format!("`{{{name}}}` is filled in by hpo: give the parameter another name"),
            Self::NoDomain { .. } => {
                "give one of `uniform`, `log_uniform`, `int`, `log_int`, `choice`, `ordered`, `bool` and `value`".to_owned()
            }
            Self::TwoDomains { .. } => "keep one of the two".to_owned(),
            Self::KeyOfOtherDomain { goes_with, .. } => format!("it goes with {}", list(goes_with)),
            Self::IntStep { .. } => "use `uniform` with this step for values between whole numbers".to_owned(),
            Self::BoolFalse => "write `bool = true` for a switch, or `value = false` for a constant".to_owned(),
            Self::EmptyCondition => "write for example when = { optimizer = \"sgd\" }, or remove `when`".to_owned(),
            Self::Space { kind, known, .. } => return help_space(kind, known),
            Self::PoolName { .. } | Self::PoolBeside { .. } => return self.help_table(),
            Self::NoTable { .. } | Self::EmptyCell { .. } | Self::CellNotFinite { .. } => return self.help_table(),
            Self::NoColumn { column, known, .. } => suggest(column, known),
            Self::Pool(fault) => return help_pool(fault),
            Self::Ladder(fault) => return Some(help_ladder(fault).to_owned()),
            Self::Bracket { .. } | Self::Brackets(_) | Self::BesideWeights { .. } => return self.help_brackets(),
            Self::Grid(fault) => help_grid(fault).to_owned(),
            Self::Point { fault, known } => help_point(fault, known),
            Self::NoMembers => "for example members = [\"random\", \"tpe\", \"evolution\"]".to_owned(),
            Self::SplitSum { .. } => "for example split = { train = 0.8, validation = 0.1, test = 0.1 }".to_owned(),
            Self::EmptyShare { .. } => "raise `count` or the share".to_owned(),
            Self::EmptyCommand => "for example command = [\"python3\", \"train.py\", \"--lr\", \"{lr}\"]".to_owned(),
            Self::NoVariable { .. } => "names have a character and no `=`, and neither names nor values have NUL".to_owned(),
            Self::Pattern { .. } => "for example metric_pattern = 'val_loss: (\\S+)'".to_owned(),
            Self::PatternGroups { .. } => {
                "put the number in parentheses, and write `(?:...)` for groups that only hold things together".to_owned()
            }
            Self::Heartbeat { .. } => "let `heartbeat` be at most half of `lease`".to_owned(),
            Self::SlurmWord { .. } => "it stands in a line of the script: one word without spaces".to_owned(),
            Self::SlurmOption { key, .. } => format!("for example {key} = [\"--exclusive\", \"--partition=small\"]"),
            Self::SlurmOwn { .. } => "remove it; `max_workers` and `throttle` say how many workers there are".to_owned(),
            Self::Notice { .. } => "let `notice` be a minute longer than `grace` of [trial]".to_owned(),
            Self::SlurmTime { .. } => "raise `time`, or lower `notice` and `grace` of [trial]".to_owned(),
            Self::WrongType { .. } | Self::OutOfRange { .. } => return None,
        };
        Some(help)
    }

    fn help_brackets(&self) -> Option<String> {
        Some(match self {
            Self::Bracket { least, .. } => format!("set bracket = {least} or more, raise `min_resource`, or remove `bracket`"),
            Self::Brackets(BracketsFault::TooMany { most }) => format!("ask for at most {most}, or lower `min_resource` or `eta`"),
            Self::Brackets(_) => "for example weights = [4, 2, 1]".to_owned(),
            Self::BesideWeights { .. } => {
                "there are as many brackets as weights, and each gets its share; remove one of the two".to_owned()
            }
            _ => return None,
        })
    }

    fn help_table(&self) -> Option<String> {
        let help = match self {
            Self::PoolName { .. } => "write pool = { csv = \"...\", params = [...] }",
            Self::PoolBeside { .. } => "remove the others, or make them columns of the file",
            Self::NoTable { .. } => "a pool is a CSV file: a line of column names, then as many values on each line",
            Self::EmptyCell { .. } => "give every row a value there, or remove the row or the column",
            Self::CellNotFinite { .. } => "give every row a finite number there, or remove the row or the column",
            _ => return None,
        };
        Some(help.to_owned())
    }

    fn help_to_find(&self) -> Option<String> {
        let help = match self {
            Self::Syntax { what } if what.contains("duplicate key") => "each table stands once in the file, each key once in its table",
            Self::Missing { .. } => "`hpo init` writes a file in which every key is explained",
            Self::NoSuchPath { .. } => "relative paths start at the folder of the sweep file",
            _ => return None,
        };
        Some(help.to_owned())
    }
}

fn help_grid(fault: &GridFault) -> &'static str {
    match fault {
        GridFault::NoParameter { .. } => "`points` takes names of [space]",
        _ => "for example points = { lr = 5, dropout = 3 }",
    }
}

fn help_point(fault: &PartialFault, known: &[String]) -> String {
    match fault {
        PartialFault::NoParameter { name } => suggest(name, known),
        PartialFault::Outside { .. } => "`hpo space FILE` shows the values of each parameter".to_owned(),
        PartialFault::Inactive { .. } => "leave it out, or give its parents the values it asks for".to_owned(),
        PartialFault::NoRow => "give fewer values, or the number of a row: { row = 17 }".to_owned(),
    }
}

fn help_ladder(fault: &LadderFault) -> &'static str {
    match fault {
        LadderFault::Eta => "eta = 3 lets the best third of a rung go on",
        LadderFault::NoResource => "resource is counted in epochs or steps, from 1",
        LadderFault::Reversed { .. } => "min_resource is where trials are first compared, max_resource where they end",
    }
}

fn help_space(kind: &SpaceFaultKind, known: &[String]) -> Option<String> {
    let help = match kind {
        SpaceFaultKind::Reversed { low, high } => format!("write the smaller one first: [{high}, {low}]"),
        SpaceFaultKind::LogFromZero { .. } => "begin at a small value above zero, or drop the `log_`".to_owned(),
        SpaceFaultKind::Step { low, high, .. } => format!("choose a step that divides {}, or move an edge", high - low),
        SpaceFaultKind::NoParent { parent } => suggest(parent, known),
        SpaceFaultKind::NoSuchValue { parent, .. } => format!("`{parent}` takes {}", list(known)),
        SpaceFaultKind::Circular => "let one parameter of the circle stand without `when`".to_owned(),
        SpaceFaultKind::ContinuousParent { parent } => format!("give `{parent}` a `step`, or make the condition on another parameter"),
        SpaceFaultKind::Contradiction { .. } => "a parameter exists only where its parents do: drop one of the conditions".to_owned(),
        SpaceFaultKind::LongList { .. } => "search a range of numbers, or make it a pool: a table with a row a configuration".to_owned(),
        SpaceFaultKind::TooManyParameters { .. } => "search those that matter, and fix the others".to_owned(),
        SpaceFaultKind::TooMany => "choose a wider step or a narrower range, or search real numbers with `uniform`".to_owned(),
        SpaceFaultKind::NotFinite | SpaceFaultKind::Choices | SpaceFaultKind::Twice => return None,
    };
    Some(help)
}

fn help_pool(fault: &PoolFault) -> Option<String> {
    let help = match fault {
        PoolFault::NamedRow => format!("leave it out: every point carries the number of its row as `{ROW}`"),
        PoolFault::TooManyRows | PoolFault::TooLarge => "take a sample of the rows".to_owned(),
        PoolFault::TooManyColumns { .. } => "name those that matter".to_owned(),
        PoolFault::NoColumns => "name the columns that are parameters, for example params = [\"lr\"]".to_owned(),
        _ => return None,
    };
    Some(help)
}

/// The nearest known word, or all of them if none is near.
fn suggest<K: AsRef<str>>(word: &str, known: &[K]) -> String {
    match nearest(word, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known: {}", list(known)),
    }
}
