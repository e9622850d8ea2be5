//! Runs a target and holds it to its promises: no panic, an end in time, a bounded heap.
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hpo_core::Seed;
use hpo_fuzz::{BASE_BYTES, Mutator, Target, target};
use nix::sys::resource::{Resource, UsageWho, getrusage, setrlimit};

use crate::HEAP;

/// The most time of the processor that one input may take, in seconds. Readers need milliseconds.
const WORK: i64 = 20;

/// The longest that one input may take, also where it does nothing or others have the processor.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Address space of the process, in bytes: a reader that asks for more ends it, before it ends the machine.
const ADDRESSES: u64 = 16 << 30;

/// One target at a time: they share the heap that is measured.
static TURN: Mutex<()> = Mutex::new(());

/// Gives the target its corpus and `inputs` mutations of it, or as many as `HPO_FUZZ_INPUTS` says.
pub(crate) fn hold(name: &str, inputs: usize) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    setrlimit(Resource::RLIMIT_AS, ADDRESSES, ADDRESSES).expect("the address space can be bounded");
    let target = target(name);
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let inputs = number("HPO_FUZZ_INPUTS").map_or(inputs, |inputs| inputs as usize);
    let seed = Seed(number("HPO_FUZZ_SEED").unwrap_or(1));
    let (corpus, again) = (target.corpus(), target.corpus());
    let bytes: Vec<Vec<u8>> = again.into_iter().map(|(_, bytes)| bytes).filter(|bytes| bytes.len() < 64 << 10).collect();
    let mut mutator = Mutator::new(&bytes, target.words, seed);
    let watch = Watch::new(name);
    for (what, input) in &corpus {
        watch.over(target, input, what);
    }
    for _ in 0..inputs {
        watch.over(target, &mutator.input(), "a mutation");
    }
    println!("{name}: {} of the corpus, {inputs} mutations", corpus.len());
}

/// Ends the process if an input takes too long: a thread that hangs cannot be ended otherwise.
struct Watch {
    beat: SyncSender<Vec<u8>>,
}

impl Watch {
    fn new(name: &str) -> Self {
        let (beat, beats) = sync_channel::<Vec<u8>>(0);
        let name = name.to_owned();
        std::thread::spawn(move || {
            let Ok(mut now) = beats.recv() else { return };
            let (mut since, mut worked) = (Instant::now(), work());
            loop {
                match beats.recv_timeout(LOOK) {
                    Ok(next) => (now, since, worked) = (next, Instant::now(), work()),
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) if work() - worked >= WORK || since.elapsed() >= PATIENCE => {
                        eprintln!("{name} hangs for {:?} on {}", since.elapsed(), keep(&name, &now).display());
                        std::process::abort();
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                }
            }
        });
        Self { beat }
    }

    fn over(&self, target: &Target, input: &[u8], what: &str) {
        self.beat.send(input.to_vec()).expect("the watch lives as long as this");
        HEAP.reset_peak_usage();
        let before = HEAP.current_usage();
        let ran = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
        let most = HEAP.peak_usage().saturating_sub(before);
        let allowed = BASE_BYTES + target.bytes_per_byte * input.len();
        let broken = match ran {
            Err(_) => "panics".to_owned(),
            Ok(()) if most > allowed => format!("takes {most} bytes of {allowed}"),
            Ok(()) => return,
        };
        panic!("{} {broken} on {} ({what})", target.name, keep(target.name, input).display());
    }
}

/// Seconds of the processor that this process has had.
fn work() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process knows what it used");
    usage.user_time().tv_sec() + usage.system_time().tv_sec()
}

/// The input as a file, to be looked at and to be kept in `found`.
fn keep(name: &str, input: &[u8]) -> PathBuf {
    let file = tempfile::Builder::new().prefix(&format!("hpo-fuzz-{name}-")).tempfile().expect("a temporary file");
    file.as_file().write_all(input).expect("the input fits the disk");
    file.into_temp_path().keep().expect("the file stays")
}
