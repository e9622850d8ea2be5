//! Exit codes: what scripts may rely on.

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// All is well.
    Done = 0,
    /// The sweep ended without a usable result.
    NoResult = 1,
    /// Bad arguments or sweep file; nothing was started.
    BadInput = 2,
    /// The run folder is locked, damaged or absent.
    RunFolder = 3,
    /// Cut short, can be resumed.
    Resumable = 4,
    /// Verification failed.
    NotVerified = 5,
}

/// A failure with the code that tells scripts its kind.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) why: anyhow::Error,
}

pub(super) type Outcome = Result<Exit, Failure>;

/// Gives an error its exit code.
pub(super) trait OrExit<T> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|why| Failure { exit, why: why.into() })
    }
}
