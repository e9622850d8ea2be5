//! What every searcher promises ([`rules`]), held against each of them, and against doubles that break one promise each and
//! must be caught ([`doubles`]). A new searcher is a line in `contract!`; one with a model has another in `learns!`.
use hpo_core::job::Function;
use hpo_core::space::Parameter;
use hpo_core::{Seed, Space};

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
        the_seed_matters the_order_of_tells_does_not_matter degenerate_spaces_are_used_up odd_histories_do_no_harm
        ten_thousand_trials
    ];
    sobol: make(SearcherSpec::Sobol), [
        stays_in_the_space thirty_parallel_asks_are_thirty_points equal_histories_give_equal_bytes suggest_changes_nothing
        the_seed_matters the_order_of_tells_does_not_matter degenerate_spaces_are_used_up odd_histories_do_no_harm
        ten_thousand_trials
    ];
    // A grid has no chance in it, and of ten thousand trials by chance none is on it.
    grid: coarse, [
        stays_in_the_space thirty_parallel_asks_are_thirty_points equal_histories_give_equal_bytes suggest_changes_nothing
        the_order_of_tells_does_not_matter degenerate_spaces_are_used_up odd_histories_do_no_harm ten_thousand_trials
    ];
    tpe: make(SearcherSpec::Tpe(TpeOptions::default())), [
        stays_in_the_space thirty_parallel_asks_are_thirty_points equal_histories_give_equal_bytes suggest_changes_nothing
        the_seed_matters the_order_of_tells_does_not_matter degenerate_spaces_are_used_up odd_histories_do_no_harm
        failing_regions_are_avoided ten_thousand_trials
    ];
    bohb: make(SearcherSpec::Bohb(BohbOptions::default())), [
        stays_in_the_space thirty_parallel_asks_are_thirty_points equal_histories_give_equal_bytes suggest_changes_nothing
        the_seed_matters the_order_of_tells_does_not_matter degenerate_spaces_are_used_up odd_histories_do_no_harm
        failing_regions_are_avoided ten_thousand_trials
    ];
    gp: make(SearcherSpec::Gp(GpOptions::default())), [
        stays_in_the_space thirty_parallel_asks_are_thirty_points equal_histories_give_equal_bytes suggest_changes_nothing
        the_seed_matters the_order_of_tells_does_not_matter degenerate_spaces_are_used_up odd_histories_do_no_harm
        failing_regions_are_avoided ten_thousand_trials
    ];
    gp_mf: make(SearcherSpec::GpMf(GpOptions::default(), Relation::default())), [
        stays_in_the_space thirty_parallel_asks_are_thirty_points equal_histories_give_equal_bytes suggest_changes_nothing
        the_seed_matters the_order_of_tells_does_not_matter degenerate_spaces_are_used_up odd_histories_do_no_harm
        failing_regions_are_avoided ten_thousand_trials
    ];
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
}
