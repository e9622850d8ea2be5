//! What every searcher promises ([`rules`]), held against each of them, and against doubles that break one promise each and
//! must be caught ([`doubles`]). A new searcher is a line in `contract!`; one with a model has another in `learns!`.
use hpo_core::job::Function;
use hpo_core::space::Parameter;
use hpo_core::{Params, Seed, Space, TrialId};

use crate::*;

mod doubles;
mod play;
mod rules;
mod spaces;

/// Makes the searcher in question, with an empty history.
type Make<'a> = &'a dyn Fn(&Space, Seed) -> Box<dyn Searcher>;

fn make(spec: SearcherSpec) -> impl Fn(&Space, Seed) -> Box<dyn Searcher> {
    move |space, seed| build(&spec, space, seed).unwrap()
}

/// A grid of two values where there are more than ten, so that the larger spaces of the rules have one.
fn coarse(space: &Space, _: Seed) -> Box<dyn Searcher> {
    let many = |parameter: &&Parameter| space.pool().is_none() && parameter.domain.size().is_none_or(|size| size > 10);
    let points = space.parameters().iter().filter(many).map(|parameter| (parameter.name.clone(), 2)).collect();
    Box::new(Grid::new(space, &GridOptions { points }).unwrap())
}

macro_rules! contract {
    ($($name:ident: $make:expr, [$($rule:ident)*];)*) => {$(
        mod $name {
            use super::*;

            $(#[test]
            fn $rule() {
                rules::$rule(&$make);
            })*
        }
    )*};
}

contract! {
    random: make(SearcherSpec::Random), [
        stays_in_the_space thirty_parallel_asks_are_thirty_points equal_histories_give_equal_bytes suggest_changes_nothing
        who_takes_up_a_history_goes_on_with_it the_seed_matters the_order_of_tells_does_not_matter
        degenerate_spaces_are_used_up odd_histories_do_no_harm ten_thousand_trials
    ];
    sobol: make(SearcherSpec::Sobol), [
        stays_in_the_space thirty_parallel_asks_are_thirty_points equal_histories_give_equal_bytes suggest_changes_nothing
        who_takes_up_a_history_goes_on_with_it the_seed_matters the_order_of_tells_does_not_matter
        degenerate_spaces_are_used_up odd_histories_do_no_harm ten_thousand_trials
    ];
    // A grid has no chance in it, and of ten thousand trials by chance none is on it.
    grid: coarse, [
        stays_in_the_space thirty_parallel_asks_are_thirty_points equal_histories_give_equal_bytes suggest_changes_nothing
        who_takes_up_a_history_goes_on_with_it the_order_of_tells_does_not_matter degenerate_spaces_are_used_up
        odd_histories_do_no_harm ten_thousand_trials
    ];
    tpe: make(SearcherSpec::Tpe(TpeOptions::default())), [
        stays_in_the_space thirty_parallel_asks_are_thirty_points equal_histories_give_equal_bytes suggest_changes_nothing
        who_takes_up_a_history_goes_on_with_it the_seed_matters the_order_of_tells_does_not_matter
        degenerate_spaces_are_used_up odd_histories_do_no_harm failing_regions_are_avoided ten_thousand_trials
    ];
    bohb: make(SearcherSpec::Bohb(BohbOptions::default())), [
        stays_in_the_space thirty_parallel_asks_are_thirty_points equal_histories_give_equal_bytes suggest_changes_nothing
        who_takes_up_a_history_goes_on_with_it the_seed_matters the_order_of_tells_does_not_matter
        degenerate_spaces_are_used_up odd_histories_do_no_harm failing_regions_are_avoided ten_thousand_trials
    ];
    // Gaussian processes round otherwise in another order.
    gp: make(SearcherSpec::Gp(GpOptions::default())), [
        stays_in_the_space thirty_parallel_asks_are_thirty_points equal_histories_give_equal_bytes suggest_changes_nothing
        who_takes_up_a_history_goes_on_with_it the_seed_matters degenerate_spaces_are_used_up odd_histories_do_no_harm
        failing_regions_are_avoided ten_thousand_trials
    ];
    gp_mf: make(SearcherSpec::GpMf(GpOptions::default(), Relation::default())), [
        stays_in_the_space thirty_parallel_asks_are_thirty_points equal_histories_give_equal_bytes suggest_changes_nothing
        who_takes_up_a_history_goes_on_with_it the_seed_matters degenerate_spaces_are_used_up odd_histories_do_no_harm
        failing_regions_are_avoided ten_thousand_trials
    ];
    evolution: make(SearcherSpec::Evolution(EvolutionOptions::default())), [
        stays_in_the_space thirty_parallel_asks_are_thirty_points equal_histories_give_equal_bytes suggest_changes_nothing
        who_takes_up_a_history_goes_on_with_it the_seed_matters the_order_of_tells_does_not_matter
        degenerate_spaces_are_used_up odd_histories_do_no_harm failing_regions_are_avoided ten_thousand_trials
    ];
    ensemble: make(portfolio()), [
        stays_in_the_space thirty_parallel_asks_are_thirty_points equal_histories_give_equal_bytes suggest_changes_nothing
        who_takes_up_a_history_goes_on_with_it the_seed_matters the_order_of_tells_does_not_matter
        degenerate_spaces_are_used_up odd_histories_do_no_harm ten_thousand_trials
    ];
    // Known points are the same whatever the seed.
    seeded: seeded, [
        stays_in_the_space thirty_parallel_asks_are_thirty_points equal_histories_give_equal_bytes suggest_changes_nothing
        who_takes_up_a_history_goes_on_with_it the_order_of_tells_does_not_matter degenerate_spaces_are_used_up
        odd_histories_do_no_harm ten_thousand_trials
    ];
    // So is the middle of a prior.
    guided: guided, [
        stays_in_the_space thirty_parallel_asks_are_thirty_points equal_histories_give_equal_bytes suggest_changes_nothing
        who_takes_up_a_history_goes_on_with_it the_order_of_tells_does_not_matter degenerate_spaces_are_used_up
        odd_histories_do_no_harm ten_thousand_trials
    ];
    // So are the best of the past.
    warm: warm, [
        stays_in_the_space thirty_parallel_asks_are_thirty_points equal_histories_give_equal_bytes suggest_changes_nothing
        who_takes_up_a_history_goes_on_with_it the_order_of_tells_does_not_matter degenerate_spaces_are_used_up
        odd_histories_do_no_harm ten_thousand_trials
    ];
}

fn portfolio() -> SearcherSpec {
    let members =
        vec![SearcherSpec::Random, SearcherSpec::Tpe(TpeOptions::default()), SearcherSpec::Evolution(EvolutionOptions::default())];
    SearcherSpec::Ensemble(EnsembleOptions { members })
}

/// TPE that is told of something beforehand, and which is told by `hints`.
fn hinted(space: &Space, seed: Seed, hints: Hints) -> Box<dyn Searcher> {
    build(&SearcherSpec::Tpe(TpeOptions::default()).with_hints(hints), space, seed).unwrap()
}

/// Two points of the space, of which every second value is known.
fn seeded(space: &Space, seed: Seed) -> Box<dyn Searcher> {
    let points = play::ask(&mut Random::new(space.clone(), Seed(77)), 0, 2);
    let some = |params: &Params| {
        space.parameters().iter().step_by(2).filter_map(|at| Some((at.name.clone(), params.get(&at.name)?.clone()))).collect()
    };
    hinted(space, seed, Hints { seed_trials: points.iter().map(some).collect(), ..Hints::default() })
}

/// A point of the space as a belief.
fn guided(space: &Space, seed: Seed) -> Box<dyn Searcher> {
    let point = Random::new(space.clone(), Seed(78)).suggest(TrialId(0)).unwrap();
    let believed = point.iter().filter(|(name, _)| *name != "row");
    let prior = believed.map(|(name, value)| (name.clone(), Belief { value: value.clone(), confidence: Confidence::Medium }));
    hinted(space, seed, Hints { prior: prior.collect(), ..Hints::default() })
}

/// Up to forty trials by chance as the past, one in ten of them failed.
fn warm(space: &Space, seed: Seed) -> Box<dyn Searcher> {
    let points = play::ask(&mut Random::new(space.clone(), Seed(79)), 0, 40);
    let past = points.into_iter().enumerate().map(|(at, params)| PastTrial { params, score: (at % 10 != 3).then_some(at as f64 / 40.0) });
    hinted(space, seed, Hints { past: past.collect(), ..Hints::default() })
}

macro_rules! learns {
    ($($name:ident: $spec:expr;)*) => {
        mod learns {
            use super::*;
            $(mod $name {
                use super::*;

                #[test]
                fn branin() {
                    rules::beats_random(&make($spec), Function::Branin);
                }
                #[test]
                fn hartmann6() {
                    rules::beats_random(&make($spec), Function::Hartmann6);
                }
                #[test]
                fn mixed() {
                    rules::beats_random(&make($spec), Function::Mixed);
                }
                #[test]
                fn a_pool() {
                    rules::finds_the_best_row_before_random(&make($spec));
                }
            })*
        }
    };
}

learns! {
    tpe: SearcherSpec::Tpe(TpeOptions::default());
    bohb: SearcherSpec::Bohb(BohbOptions::default());
    gp: SearcherSpec::Gp(GpOptions::default());
    evolution: SearcherSpec::Evolution(EvolutionOptions::default());
    ensemble: portfolio();
}
