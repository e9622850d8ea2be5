//! What every scheduler promises, told by chance: any losses, any order of events, failures, reports that skip resources, a
//! searcher that ends early. The books of the test judge, not those of the rule. A new rule is a line in `contract!`.
use proptest::prelude::*;

use super::*;

mod books;
mod world;

use books::Books;
use world::World;

/// r, R and eta.
#[derive(Clone, Copy, Debug)]
struct Climb {
    min: u32,
    max: u32,
    eta: u32,
}

impl Climb {
    fn ladder(self, anchor: Anchor) -> Ladder {
        Ladder::anchored(anchor, Resource(self.min), Resource(self.max), self.eta).unwrap()
    }
}

/// All that chance decides about one sweep.
#[derive(Clone, Debug)]
struct Story {
    climb: Climb,
    max_trials: u32,
    /// Whether the rule is told `max_trials`.
    told: bool,
    /// The searcher has nothing more after so many.
    supply: u32,
    slots: usize,
    /// What trials report: 13, 14 and 15 are not finite.
    losses: Vec<u8>,
    /// One in so many reports is a failure instead; 0: none fails.
    failing: u8,
    dice: Vec<u8>,
}

impl Story {
    /// What `trial` reports at `resource`, however often it is asked. Ties are frequent.
    fn loss(&self, trial: TrialId, resource: u32) -> Loss {
        let at = (trial.0 as usize).wrapping_mul(7) + (resource as usize).wrapping_mul(31);
        Loss::new(match self.losses[at % self.losses.len()] {
            13 => f64::NAN,
            14 => f64::INFINITY,
            15 => f64::NEG_INFINITY,
            value => f64::from(value),
        })
    }
}

fn climbs() -> impl Strategy<Value = Climb> {
    (1_u32..4, 0_u32..30, 2_u32..5).prop_map(|(min, more, eta)| Climb { min, max: min + more, eta })
}

/// Mostly small figures that are finite; sometimes none is.
fn losses() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![8 => 0_u8..13, 1 => 13_u8..16], 1..80)
}

fn stories() -> impl Strategy<Value = Story> {
    let searcher = (1_u32..60, any::<bool>(), prop_oneof![3 => Just(u32::MAX), 1 => 0_u32..60]);
    let chance = (losses(), prop_oneof![Just(0_u8), Just(40), Just(6)], prop::collection::vec(any::<u8>(), 50..300));
    (climbs(), searcher, 1_usize..9, chance).prop_map(|(climb, (max_trials, told, supply), slots, (losses, failing, dice))| Story {
        climb,
        max_trials,
        told,
        supply,
        slots,
        losses,
        failing,
        dice,
    })
}

/// Plays a story to its end twice: every promise holds all along, and both go the same way to the letter. The journal keeps
/// the rule under its name.
fn keeps_its_promises(spec: &SchedulerSpec, story: &Story) {
    let play = || {
        let mut world = World::new(spec, story);
        world.play();
        world.close()
    };
    assert_eq!(play(), play(), "equal calls, equal answers");
    let text = serde_json::to_string(spec).unwrap();
    assert!(text.contains(&format!("\"kind\":\"{}\"", spec.name())), "{text}");
    assert_eq!(serde_json::from_str::<SchedulerSpec>(&text).unwrap(), *spec);
}

fn brackets(climb: Climb, weights: Vec<u32>) -> SchedulerSpec {
    SchedulerSpec::HyperbandAsync(Brackets::weighted(climb.ladder(Anchor::Bottom), weights).unwrap())
}

macro_rules! contract {
    ($($rule:ident: $spec:expr;)*) => {$(
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(192))]
            #[test]
            fn $rule(story in stories()) {
                let spec: fn(Climb) -> SchedulerSpec = $spec;
                keeps_its_promises(&spec(story.climb), &story);
            }
        }
    )*};
}

contract! {
    fifo: |climb| SchedulerSpec::Fifo { ladder: Ladder::single(Resource(climb.max)).unwrap() };
    halving: |climb| SchedulerSpec::Halving { ladder: climb.ladder(Anchor::Top), bracket: None };
    halving_in_brackets: |climb| SchedulerSpec::Halving { ladder: climb.ladder(Anchor::Top), bracket: Some(3 + climb.max % 9) };
    hyperband: |climb| SchedulerSpec::Hyperband { ladder: climb.ladder(Anchor::Top) };
    swift: |climb| SchedulerSpec::Swift { ladder: climb.ladder(Anchor::Top), decide_at: 0.5, margin: 1.0 };
    swift_in_haste: |climb| SchedulerSpec::Swift { ladder: climb.ladder(Anchor::Top), decide_at: 0.1, margin: 0.0 };
    asha_promote: |climb| SchedulerSpec::AshaPromote { ladder: climb.ladder(Anchor::Bottom) };
    asha_stop: |climb| SchedulerSpec::AshaStop { ladder: climb.ladder(Anchor::Bottom) };
    hyperband_async: |climb| brackets(climb, Brackets::hyperband(&climb.ladder(Anchor::Bottom), usize::MAX));
    hyperband_async_one_by_one: |climb| brackets(climb, vec![1; Brackets::most(&climb.ladder(Anchor::Bottom))]);
    pasha: |climb| SchedulerSpec::Pasha { ladder: climb.ladder(Anchor::Bottom), epsilon: None };
    pasha_with_epsilon: |climb| SchedulerSpec::Pasha { ladder: climb.ladder(Anchor::Bottom), epsilon: Some(3.0) };
    median: |climb| SchedulerSpec::Median { ladder: climb.ladder(Anchor::Bottom), min_trials: climb.eta };
}
