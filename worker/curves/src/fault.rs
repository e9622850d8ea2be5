//! What can be wrong with a source of curves.
use std::path::PathBuf;

use hpo_core::Value;
use hpo_core::job::Function;

use crate::synthetic::{Landscape, Misfit};

/// Why there is no curve. Asking again does not help.
#[derive(Debug, thiserror::Error)]
pub enum CurveFault {
    /// A table of recorded curves.
    #[error("the recorded curves `{}` cannot be used", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        fault: TableFault,
    },
    /// A surrogate.
    #[cfg(feature = "surrogate")]
    #[error(transparent)]
    Surrogate(#[from] SurrogateFault),
    /// This build has none.
    #[error("this build has no surrogates; build hpo with its feature `surrogate`")]
    NoSurrogate,
    /// The parameters do not fit a test function.
    #[error("{} takes {}; {misfit}", function.name(), function.takes())]
    Function {
        /// Which.
        function: Function,
        /// What does not fit.
        misfit: Misfit,
    },
}

/// What is wrong with a table of recorded curves, or with parameters that should name one of them.
#[derive(Debug, thiserror::Error)]
pub enum TableFault {
    /// It cannot be read as a CSV.
    #[error(transparent)]
    Csv(#[from] csv::Error),
    /// A header and no more.
    #[error("it has no row below its header")]
    Empty,
    /// Two columns of one name.
    #[error("it has two columns `{column}`")]
    Twice {
        /// Their name.
        column: String,
    },
    /// No column of it is a curve's.
    #[error("no column is named `{prefix}` and a number; set `curve` to what the names of the curve's columns begin with")]
    NoCurve {
        /// The prefix looked for.
        prefix: String,
    },
    /// The units do not count on.
    #[error("`{before}` is followed by `{after}`: the numbers of the curve's columns must count on by one")]
    Gap {
        /// A column.
        before: String,
        /// The one after it.
        after: String,
    },
    /// A column that was named is not there.
    #[error("it has no column `{column}`")]
    NoSuchColumn {
        /// Its name.
        column: String,
    },
    /// A curve that ends before its last column.
    #[error("line {line}, column `{column}`: the curve ends after {units} units; write `nan` where a training diverged")]
    Short {
        /// Line of the file, from 1.
        line: u64,
        /// The first empty column.
        column: String,
        /// Units before it.
        units: usize,
    },
    /// Something else where a number should be.
    #[error("line {line}, column `{column}`: `{text}` is not {wanted}")]
    NoNumber {
        /// Line of the file, from 1.
        line: u64,
        /// The column.
        column: String,
        /// What stands there.
        text: String,
        /// What should.
        wanted: &'static str,
    },
    /// The sweep's space is not a pool of rows.
    #[error("a configuration must name its recording by `row`; take [space] from this file by `pool = {{ csv = .., params = [..] }}`")]
    NoRow,
    /// A row that is not there.
    #[error("`row` = {row} is none of its rows, 0 to {}", rows - 1)]
    NoSuchRow {
        /// The one asked for.
        row: Value,
        /// How many there are.
        rows: usize,
    },
    /// The pool is not of this file.
    #[error("line {line}, column `{column}` says {recorded}, and the pool {given}; both must be read from one file")]
    Differs {
        /// Line of the file, from 1.
        line: u64,
        /// The column.
        column: String,
        /// What stands there.
        recorded: Value,
        /// The parameter's value.
        given: Value,
    },
}

/// What is wrong with a surrogate, or with parameters that it should predict for.
#[cfg(feature = "surrogate")]
#[derive(Debug, thiserror::Error)]
pub enum SurrogateFault {
    /// More units than can be predicted at once.
    #[error(
        "max_resource = {longest} is more than a surrogate can predict at once: at most {most}; count in larger units (`fidelity_step`)"
    )]
    TooLong {
        /// The one given.
        longest: hpo_core::Resource,
        /// The most.
        most: hpo_core::Resource,
    },
    /// A file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The encoding is none.
    #[error("`{}` is no encoding: it must hold, for each categorical input, an object of words and whole numbers", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A categorical input without words.
    #[error("`encoding` says nothing about the categorical input `{input}`")]
    NoEncoding {
        /// The input.
        input: String,
    },
    /// The fidelity is no input.
    #[error("fidelity = \"{fidelity}\" is not among the `continuous` inputs")]
    NoFidelity {
        /// The one given.
        fidelity: String,
    },
    /// A name among `metric`, `test` and `cost` that is no output.
    #[error("`{name}` is not among the `outputs`, which are {}", outputs.join(", "))]
    NoOutput {
        /// The name.
        name: String,
        /// The names of the outputs.
        outputs: Vec<String>,
    },
    /// A parameter, or a name in `fixed`, that the model does not take.
    #[error("the surrogate has no input `{name}`; name it in `categorical` or `continuous`, or remove it")]
    NoInput {
        /// The name.
        name: String,
    },
    /// A parameter that is also fixed or the fidelity.
    #[error("`{name}` is a parameter of the space and also `fixed` or the `fidelity`; it can be one of them")]
    GivenTwice {
        /// The name.
        name: String,
    },
    /// A value that an input cannot have.
    #[error("the input `{input}` cannot be {value}, which is not {wanted}")]
    Value {
        /// The input.
        input: String,
        /// The value.
        value: Value,
        /// What would be right.
        wanted: &'static str,
    },
    /// No word for an input that has no value.
    #[error("the input `{input}` has no value, and its encoding no `#na#`; make it a parameter or give it in `fixed`")]
    NeverMissing {
        /// The input.
        input: String,
    },
    /// There is no runtime in this process.
    #[error(transparent)]
    Runtime(#[from] &'static crate::runtime::StartFault),
    /// The runtime refuses the model.
    #[error("`{}` cannot be used", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Box<crate::runtime::LoadFault>,
    },
    /// The model takes or gives something else than the job names.
    #[error("`{}` must take i32 [n, {categorical}] and f32 [n, {continuous}] and give f32 [n, {outputs}], as named in the sweep file; it is {found}", path.display())]
    Ports {
        /// The file.
        path: PathBuf,
        /// How many categorical inputs are named.
        categorical: usize,
        /// How many continuous inputs are named.
        continuous: usize,
        /// How many outputs are named.
        outputs: usize,
        /// What the model says.
        found: String,
    },
    /// It fails on an input.
    #[error("`{}` fails on a batch of {rows}", path.display())]
    Run {
        /// The file.
        path: PathBuf,
        /// Rows given.
        rows: usize,
        /// Why.
        source: ort::Error,
    },
    /// It gives something else than it said.
    #[error("`{}` gave {found:?} instead of {wanted:?}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The shape that the job names.
        wanted: Vec<i64>,
        /// The shape that came.
        found: Vec<i64>,
    },
}
