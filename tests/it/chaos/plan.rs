//! The sweeps that go through misfortunes.
use std::time::Duration;

/// A sweep, by what matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) trials: usize,
    pub(super) lease: Duration,
    pub(super) stall: Duration,
    pub(super) work: &'static str,
}

/// A built-in model that takes about a tenth of a second for an epoch, and a trainer about one to start.
const BURN: &str = r#"
kind = "burn"
model = "mlp"
device = "cpu"
[trial.data]
kind = "glyphs"
count = 8000
size = 12
classes = 8
split = { train = 0.8, validation = 0.1, test = 0.1 }
"#;

/// A training in closed form that takes a quarter of a second for an epoch, on however busy a machine.
const PACED: &str = r#"
kind = "synthetic"
function = "branin"
noise = 0.1
seconds = 0.25
pace = 1.0
"#;

impl Plan {
    /// Real training.
    pub(super) fn burn(trials: usize) -> Self {
        // Nobody is to be taken for dead or hanging whom a busy machine did not let run for some seconds, or to start for many.
        Self { trials, lease: Duration::from_secs(8), stall: Duration::from_secs(60), work: BURN }
    }

    /// Where what is tested is a matter of time.
    pub(super) fn paced(trials: usize) -> Self {
        Self { work: PACED, ..Self::burn(trials) }
    }

    /// The sweep file.
    pub(super) fn text(&self) -> String {
        let (metric, space) = if self.work == BURN {
            ("val_loss", "lr = { log_uniform = [1e-3, 3e-2] }\nwidth = { int = [32, 64], step = 16 }\ndropout = { value = 0.1 }")
        } else {
            ("loss", "x = { uniform = [-5.0, 10.0] }\ny = { uniform = [0.0, 15.0] }")
        };
        format!(
            r#"
[sweep]
name = "chaos"
seed = 3
metric = "{metric}"
max_trials = {}

[space]
{space}

[searcher]
kind = "random"

[scheduler]
kind = "asha-promote"
min_resource = 2
max_resource = 18
eta = 3

[workers]
lease = "{}s"

[trial]
stall = "{}s"
# What we do to trainers is not their fault, and no trial may be given up for it.
retries = 100
lost_max = 1000
{}"#,
            self.trials,
            self.lease.as_secs(),
            self.stall.as_secs(),
            self.work
        )
    }
}
