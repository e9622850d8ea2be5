use hpo_core::job::{CurveSource, Function, SyntheticJob};

use super::*;

fn bench(failure_rate: f64, pace: f64) -> Bench {
    let synthetic =
        SyntheticJob { function: Function::Branin, noise: 0.5, failure_rate, crossing: 0.2, rate: 5.0, seconds: 2.0, cost_spread: 0.0 };
    let job = CurvesJob { source: CurveSource::Synthetic(synthetic), max_resource: Resource(9), pace };
    Bench::open(&job, "loss", Goal::Minimize).unwrap()
}

fn params() -> Params {
    serde_json::from_str(r#"{"x": 1.5, "y": 3.0}"#).unwrap()
}

fn units(bench: &Bench, trial: &mut Trial, count: u32) -> Vec<Epoch> {
    (0..count).map(|_| bench.unit(trial, &mut || false).unwrap()).collect()
}

#[test]
fn a_trial_goes_on_from_its_state_as_if_nothing_had_happened() {
    let (bench, folder) = (bench(0.0, 0.0), tempfile::tempdir().unwrap());
    let mut straight = bench.begin(&params(), Seed(5)).unwrap();
    let all = units(&bench, &mut straight, 9);
    let mut first = bench.begin(&params(), Seed(5)).unwrap();
    units(&bench, &mut first, 4);
    let state = folder.path().join("state");
    first.save(&state).unwrap();
    let mut second = bench.resume(&params(), Seed(5), Resource(4), &state).unwrap();
    assert_eq!((second.done(), units(&bench, &mut second, 5)), (Resource(4), all[4..].to_vec()));
    let past = bench.unit(&mut second, &mut || false).unwrap_err();
    assert_eq!(
        (past.kind(), past.to_string()),
        (Some(FailureKind::Setup), "there are no figures after unit 9; set `max_resource` to that".to_owned())
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary is left");
}

#[test]
fn the_state_of_another_trial_is_refused() {
    let (bench, folder) = (bench(0.0, 0.0), tempfile::tempdir().unwrap());
    let mut trial = bench.begin(&params(), Seed(5)).unwrap();
    units(&bench, &mut trial, 2);
    let state = folder.path().join("state");
    trial.save(&state).unwrap();
    let other: Params = serde_json::from_str(r#"{"x": 1.5, "y": 3.5}"#).unwrap();
    let resume = |params: &Params, seed, from, path: &Path| bench.resume(params, Seed(seed), Resource(from), path).err().unwrap();
    for fault in [resume(&other, 5, 2, &state), resume(&params(), 6, 2, &state), resume(&params(), 5, 3, &state)] {
        assert!(matches!(fault, CurvesFault::Foreign { .. }) && fault.kind() == Some(FailureKind::Checkpoint), "{fault}");
    }
    let torn = folder.path().join("torn");
    std::fs::write(&torn, "{\"params\":").unwrap();
    assert_eq!(resume(&params(), 5, 2, &torn).kind(), Some(FailureKind::Checkpoint));
    assert_eq!(resume(&params(), 5, 2, &folder.path().join("none")).kind(), Some(FailureKind::Checkpoint));
    // A folder opens and cannot be read: the disk's fault.
    assert_eq!(resume(&params(), 5, 2, folder.path()).kind(), None);
    assert_eq!(trial.save(&folder.path().join("no/folder")).unwrap_err().kind(), None);
}

#[test]
fn a_unit_takes_its_seconds_at_the_pace_and_can_be_broken_off() {
    let bench = bench(0.0, 0.02);
    let mut trial = bench.begin(&params(), Seed(5)).unwrap();
    let began = Instant::now();
    units(&bench, &mut trial, 2);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(80), "two units of two seconds at a fiftieth: {took:?}");
    let mut asked = 0;
    let mut interrupted = || {
        asked += 1;
        asked > 2
    };
    assert_eq!(bench.unit(&mut trial, &mut interrupted).unwrap(), Epoch::Interrupted);
    assert_eq!(trial.done(), Resource(2), "nothing has changed");
}

#[test]
fn a_training_that_fails_is_a_failure_of_its_kind() {
    let bench = bench(1.0, 0.0);
    let mut trial = bench.begin(&params(), Seed(5)).unwrap();
    let fault = (0..9).find_map(|_| bench.unit(&mut trial, &mut || false).err()).unwrap();
    let unit = trial.done().0 + 1;
    assert_eq!(fault.kind(), Some(FailureKind::NotFinite));
    assert_eq!(fault.to_string(), format!("the training has diverged in unit {unit}: its metric is not a finite number"));
    let odd: Params = serde_json::from_str(r#"{"x": 1.5}"#).unwrap();
    assert_eq!(bench.begin(&odd, Seed(5)).err().unwrap().kind(), Some(FailureKind::Setup));
}
