//! The searcher's thread with a searcher that takes its time.
use std::time::Duration;

use hpo_core::sweep::Outcome;

use super::*;
use crate::engine::inbox::Inbox;

/// Proposes how many trials have begun and how many results are known, and takes `0` milliseconds for it.
struct Slow(u64, usize, usize);

impl Searcher for Slow {
    fn begin(&mut self, _: TrialId, _: &Params) {
        self.1 += 1;
    }
    fn tell(&mut self, _: &Observation) {
        self.2 += 1;
    }
    fn suggest(&self, _: TrialId) -> Result<Params, SuggestFault> {
        std::thread::sleep(Duration::from_millis(self.0));
        Ok([("begun".to_owned(), (self.1 as i64).into()), ("known".to_owned(), (self.2 as i64).into())].into())
    }
}

fn params(begun: i64, known: i64) -> Params {
    [("begun".to_owned(), begun.into()), ("known".to_owned(), known.into())].into()
}

fn seen(trial: u32) -> Observation {
    Observation { trial: TrialId(trial), params: Params::new(), outcome: Outcome::Infeasible }
}

/// A proposer whose searcher thinks for `ms`, and where its words arrive.
struct Desk {
    proposer: Proposer,
    inbox: Inbox,
}

impl Desk {
    fn new(ms: u64) -> Self {
        let (proposer, tasks) = Proposer::new(vec![]);
        let (handle, inbox) = Inbox::new();
        start(Thinker::new(Box::new(Slow(ms, 0, 0)), tasks), handle).unwrap();
        Self { proposer, inbox }
    }

    /// The next word of the searcher, as the engine takes it.
    async fn next(&mut self) -> Option<Input> {
        self.next_within(Duration::from_secs(60)).await
    }

    /// Whether it says nothing for far longer than it thinks.
    async fn is_quiet(&mut self) -> bool {
        self.next_within(Duration::from_millis(500)).await.is_none()
    }

    async fn next_within(&mut self, patience: Duration) -> Option<Input> {
        self.proposer.hand_over();
        let mut batch = vec![];
        self.inbox.next_batch(1, patience, &mut batch).await;
        let input = batch.pop()?;
        match &input {
            Input::Suggested { cost_us, .. } => self.proposer.answered(*cost_us),
            Input::Ready(ready) => self.proposer.made(ready.clone()),
            _ => panic!("the searcher says nothing else"),
        }
        Some(input)
    }

    /// What was ready when it was asked for.
    fn used(&mut self) -> Vec<(TrialId, Params)> {
        self.proposer.take_used().into_iter().map(|ready| (ready.trial, ready.params)).collect()
    }
}

#[tokio::test]
async fn a_slow_searcher_has_its_next_word_ready() {
    let mut desk = Desk::new(20);
    desk.proposer.ask(TrialId(0));
    assert!(desk.used().is_empty());
    let Some(Input::Suggested { trial: TrialId(0), answer, cost_us }) = desk.next().await else { panic!("no answer") };
    assert_eq!(answer, Ok(params(0, 0)));
    assert!(cost_us >= 20_000);
    // Nobody has asked for it.
    let Some(Input::Ready(Some(ready))) = desk.next().await else { panic!("nothing ahead") };
    assert_eq!((ready.trial, &ready.params), (TrialId(1), &params(1, 0)));
    desk.proposer.ask(TrialId(1));
    assert_eq!(desk.used(), [(TrialId(1), params(1, 0))]);
    // The searcher learns that it was used before it thinks about the one after it.
    let Some(Input::Ready(Some(next))) = desk.next().await else { panic!("nothing ahead") };
    assert_eq!((next.trial, next.params), (TrialId(2), params(2, 0)));
    assert!(desk.is_quiet().await, "one is kept, and nothing is new");
}

/// With one result in a hundred newer it is used, with one in ten newer it is made anew, unasked.
#[tokio::test]
async fn what_is_out_of_date_is_made_anew() {
    let mut desk = Desk::new(20);
    (0..100).for_each(|trial| desk.proposer.tell(seen(trial)));
    desk.proposer.ask(TrialId(100));
    desk.next().await;
    let Some(Input::Ready(Some(first))) = desk.next().await else { panic!("nothing ahead") };
    assert_eq!(first.known, 100);
    desk.proposer.tell(seen(0));
    assert!(desk.is_quiet().await, "fresh enough");
    (1..11).for_each(|trial| desk.proposer.tell(seen(trial)));
    let Some(Input::Ready(Some(second))) = desk.next().await else { panic!("not made anew") };
    assert_eq!((second.trial, second.known, second.params), (TrialId(101), 111, params(1, 111)));
    // Asked for when it is out of date again: it is not used.
    (0..11).for_each(|trial| desk.proposer.tell(seen(trial)));
    desk.proposer.ask(TrialId(101));
    assert!(desk.used().is_empty());
    let Some(Input::Suggested { answer, .. }) = desk.next().await else { panic!("no answer") };
    assert_eq!(answer, Ok(params(1, 122)));
}

/// The ask meets what is being made on its way: it is the answer, and was thought about once.
#[tokio::test]
async fn an_ask_while_it_is_being_made_gets_just_that() {
    let mut desk = Desk::new(50);
    desk.proposer.ask(TrialId(0));
    desk.next().await;
    desk.proposer.hand_over();
    desk.proposer.ask(TrialId(1));
    assert!(desk.used().is_empty());
    let Some(Input::Ready(Some(ready))) = desk.next().await else { panic!("nothing ahead") };
    let Some(Input::Suggested { trial: TrialId(1), answer, cost_us }) = desk.next().await else { panic!("no answer") };
    assert_eq!((answer, cost_us), (Ok(ready.params), ready.cost_us));
    let Some(Input::Ready(Some(next))) = desk.next().await else { panic!("nothing ahead") };
    assert_eq!((next.trial, next.params), (TrialId(2), params(2, 0)));
}

#[tokio::test]
async fn a_quick_searcher_is_asked_when_there_is_need() {
    let mut desk = Desk::new(0);
    for trial in 0..3 {
        desk.proposer.ask(TrialId(trial));
        assert!(matches!(desk.next().await, Some(Input::Suggested { .. })));
    }
    assert!(desk.is_quiet().await);
}
