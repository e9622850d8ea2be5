//! What ends a simulation, and that something does.
use std::path::Path;

use super::*;
use crate::config::check_text;

#[test]
fn it_is_over_at_the_very_report_that_makes_the_resource_full() {
    for workers in [1, 5] {
        let mut setup = setup(asha(1, TOP, 3), None, formula(), Conditions::ideal(workers));
        setup.until = Some(500);
        let whole = play(&setup, Seed(1)).unwrap();
        assert_eq!(whole.resource, 500);
        setup.until = Some(200);
        let part = play(&setup, Seed(1)).unwrap();
        let before = whole.improvements.iter().filter(|better| better.resource <= 200);
        assert_eq!(part.improvements, before.copied().collect::<Vec<_>>(), "what comes later changes nothing before");
        assert_eq!(part.busy + part.idle, part.ended.0 * u64::from(workers));
    }
}

#[test]
fn a_budget_of_time_calls_back_what_runs() {
    let mut setup = setup(asha(1, TOP, 3), None, formula(), Conditions { checkpoint: 400, ..Conditions::ideal(6) });
    setup.spec.budget.wall = Some(60_000);
    let outcome = play(&setup, Seed(2)).unwrap();
    assert!((60_000..=60_400).contains(&outcome.ended.0), "{}", outcome.ended);
    assert_eq!(outcome.busy + outcome.idle, 6 * outcome.ended.0);
    setup.spec.budget = Budget { reserved: Some(120_000), ..Budget::default() };
    let outcome = play(&setup, Seed(2)).unwrap();
    assert!((20_000..=20_400).contains(&outcome.ended.0), "{}", outcome.ended);
}

/// Units of a hundredth of a millisecond, or of none at all.
#[test]
fn time_goes_on_however_short_a_training_is() {
    for seconds in [1e-5, 0.0] {
        let mut setup = setup(fifo(9), None, SyntheticJob { seconds, cost_spread: 0.0, ..formula() }, Conditions::ideal(2));
        setup.spec.budget.wall = Some(500);
        let outcome = play(&setup, Seed(0)).unwrap();
        // A training takes a millisecond, on each of two workers; the last two were called back or had just begun.
        assert_eq!(outcome.ended.0, 500);
        assert!((1000..=1002).contains(&outcome.trials), "{}", outcome.trials);
    }
}

/// A target may lie below all that there is.
#[test]
fn where_only_a_target_ends_the_sweep_something_else_must() {
    let file = |end: &str, x: &str| {
        let text = format!(
            "sweep = {{ name = \"s\", metric = \"loss\", {end} }}
            space = {{ x = {{ {x} }}, y = {{ int = [0, 15] }} }}
            scheduler = {{ kind = \"fifo\", max_resource = 3 }}
            trial = {{ kind = \"synthetic\", function = \"branin\" }}"
        );
        check_text(&text, Path::new("sweep.toml"), &|_| None).unwrap()
    };
    let opened = |end: &str, x: &str, until| open(&[file("max_trials = 3", x), file(end, x)], None, until).map(|setups| setups.len());
    let (endless, many, few) = ("target = -1.0", "uniform = [-5, 10]", "int = [-5, 10]");
    assert!(matches!(opened(endless, many, None), Err((1, Fault::NoEnd))));
    assert!(matches!(opened(endless, many, Some(100)), Ok(2)));
    assert!(matches!(opened(endless, few, None), Ok(2)), "it ends when each point was tried");
    for other in ["wall = \"1m\"", "gpu_hours = 1.0", "max_trials = 9"] {
        assert!(matches!(opened(&format!("{endless}, {other}"), many, None), Ok(2)), "{other}");
    }
}

#[test]
fn a_sweep_that_comes_to_nothing_is_given_up() {
    let doomed = SyntheticJob { failure_rate: 1.0, ..formula() };
    let mut setup = setup(fifo(1), None, doomed, Conditions::ideal(2));
    setup.until = Some(10);
    assert!(matches!(play(&setup, Seed(0)), Err(Fault::Barren { .. })));
    setup.spec.budget.max_trials = Some(5);
    let outcome = play(&setup, Seed(0)).unwrap();
    assert_eq!((outcome.trials, outcome.failed, outcome.best, outcome.resource), (5, 5, None, 0));
}
