//! Brackets of rounds: what all rules have in common in whose rungs all wait for all.
//!
//! A bracket takes in its members; they train to its first rung. When the bracket is full, or nobody more comes, and every
//! live member has reported there, the rung closes: of n who took part, the best floor(n / eta) go on to the next rung, and
//! the others are out. Whoever failed or was stopped on the way took part and ranks last. Nobody goes on with a loss that is
//! not finite, even if fewer go on then. While a bracket waits, new trials enter the next.
use std::collections::{BTreeMap, BTreeSet};

use super::{Barrier, Pass, Place, Promotion, Rung, Scheduler, Standing, Verdict};
use crate::by_trial::ByTrial;
use crate::{Loss, Params, TrialId};

/// All brackets so far. A call costs O(log trials), but for the one that closes a rung: O(n log n) for the n members there.
#[derive(Clone, Debug, PartialEq)]
pub struct Rounds {
    pass: Pass,
    brackets: Vec<Bracket>,
    seats: ByTrial<Option<Seat>>,
    /// Chosen and not yet promoted: older brackets first, then the best.
    ready: BTreeSet<(usize, Place)>,
    hopeless: Vec<TrialId>,
}

#[derive(Clone, Debug, PartialEq)]
struct Bracket {
    entry: Rung,
    /// How many more may enter.
    room: u32,
    /// One for each rung that members have set out for, from `entry`; none for the top, where nobody is compared. Only the
    /// last one can be open.
    rounds: Vec<Round>,
}

/// One rung of one bracket.
#[derive(Clone, Debug, Default, PartialEq)]
struct Round {
    /// Who is here, and with a loss that is not finite who never will be.
    settled: BTreeSet<Place>,
    /// How many may still come.
    coming: usize,
    closed: bool,
}

/// Where a trial belongs.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seat {
    bracket: usize,
    /// The rung that it stands on, or that it is on its way to.
    rung: Rung,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// On its way to its rung; there already, if that is the top.
    Coming,
    /// On its rung, while others are not.
    Waiting(Loss),
    /// The rung below has closed, where it had this loss, and it is to go on.
    Chosen(Loss),
    Out,
}

impl Round {
    fn of(members: usize) -> Self {
        Self { coming: members, ..Self::default() }
    }

    /// Those who go on if nobody more comes, best first.
    fn best(&self, eta: u32) -> impl Iterator<Item = Place> {
        self.settled.iter().copied().take(self.settled.len() / eta as usize).take_while(|(loss, _)| loss.is_finite())
    }
}

impl Rounds {
    /// No bracket yet; they will be those of `pass`, again and again.
    #[must_use]
    pub fn new(pass: Pass) -> Self {
        Self { pass, brackets: vec![], seats: ByTrial::default(), ready: BTreeSet::new(), hopeless: vec![] }
    }

    /// The bracket of `trial`, counted from 0 over all passes, and the rung that it is on its way to or stands on. None if
    /// it never entered.
    #[must_use]
    pub fn seat(&self, trial: TrialId) -> Option<(usize, Rung)> {
        self.seats.get(trial)?.map(|seat| (seat.bracket, seat.rung))
    }

    /// The round that `trial` trains in: who is there or out of it, best first, and how many take part in all. None if it
    /// takes no part or is on its way to the top.
    pub(super) fn field(&self, trial: TrialId) -> Option<(&BTreeSet<Place>, usize)> {
        let seat = self.seats.get(trial)?.filter(|seat| seat.state == State::Coming)?;
        let bracket = &self.brackets[seat.bracket];
        let round = bracket.rounds.get(seat.rung - bracket.entry)?;
        Some((&round.settled, round.settled.len() + round.coming + bracket.room as usize))
    }

    /// `trial` takes no further part: it was stopped in mid-round, or has failed. It ranks last on the rung that it was on
    /// its way to or waiting on; what it did on lower rungs stays. Not for a trial whose lease has ended: of that one
    /// [`Scheduler::reached`] is to say so.
    pub fn out(&mut self, trial: TrialId) {
        let Some(seat) = self.seats.entry(trial) else { return };
        let (index, rung) = (seat.bracket, seat.rung);
        let before = std::mem::replace(&mut seat.state, State::Out);
        if let State::Chosen(loss) = before {
            self.ready.remove(&(index, (loss, trial)));
        }
        let bracket = &mut self.brackets[index];
        let Some(round) = bracket.rounds.get_mut(rung - bracket.entry) else { return };
        match before {
            State::Coming | State::Chosen(_) => round.coming -= 1,
            State::Waiting(loss) => drop(round.settled.remove(&(loss, trial))),
            State::Out => return,
        }
        round.settled.insert((Loss::new(f64::NAN), trial));
        self.close_if_complete(index);
    }

    fn seated(&self) -> impl Iterator<Item = (TrialId, &Seat)> {
        self.seats.iter().filter_map(|(trial, seat)| Some((trial, seat.as_ref()?)))
    }

    /// The bracket that takes new trials.
    fn open_bracket(&mut self) -> usize {
        if self.brackets.last().is_none_or(|bracket| bracket.room == 0) {
            let wanted = self.pass.brackets[self.brackets.len() % self.pass.brackets.len()];
            let rounds = if wanted.entry < self.pass.top { vec![Round::default()] } else { vec![] };
            self.brackets.push(Bracket { entry: wanted.entry, room: wanted.members, rounds });
        }
        self.brackets.len() - 1
    }

    /// If all are in, the best go on and the others are out.
    fn close_if_complete(&mut self, index: usize) {
        let bracket = &mut self.brackets[index];
        let rung = bracket.entry + bracket.rounds.len();
        let Some(round) = bracket.rounds.last_mut() else { return };
        if round.closed || bracket.room > 0 || round.coming > 0 {
            return;
        }
        round.closed = true;
        let mut chosen = 0;
        for (loss, trial) in round.best(self.pass.eta) {
            *self.seats.entry(trial) = Some(Seat { bracket: index, rung, state: State::Chosen(loss) });
            self.ready.insert((index, (loss, trial)));
            chosen += 1;
        }
        for (_, trial) in round.settled.iter().skip(chosen) {
            if let Some(seat) = self.seats.entry(*trial)
                && seat.state != State::Out
            {
                seat.state = State::Out;
                self.hopeless.push(*trial);
            }
        }
        if chosen > 0 && rung < self.pass.top {
            bracket.rounds.push(Round::of(chosen));
        }
    }

    /// The round of `trial` on `rung`, if it took part in that.
    fn round(&self, rung: Rung, trial: TrialId) -> Option<(usize, &Round)> {
        let index = self.seats.get(trial)?.as_ref()?.bracket;
        let bracket = &self.brackets[index];
        bracket.rounds.get(rung.checked_sub(bracket.entry)?).map(|round| (index, round))
    }
}

impl Scheduler for Rounds {
    fn enter(&mut self, trial: TrialId, _params: &Params) -> Rung {
        let index = self.open_bracket();
        let bracket = &mut self.brackets[index];
        bracket.room -= 1;
        if let Some(round) = bracket.rounds.first_mut() {
            round.coming += 1;
        }
        let rung = bracket.entry;
        let earlier = self.seats.entry(trial).replace(Seat { bracket: index, rung, state: State::Coming });
        assert!(earlier.is_none(), "trial {trial} enters twice");
        rung
    }

    fn no_more(&mut self) {
        if let Some(last) = self.brackets.last_mut() {
            last.room = 0;
            self.close_if_complete(self.brackets.len() - 1);
        }
    }

    fn reached(&mut self, rung: Rung, trial: TrialId, loss: Loss) -> Verdict {
        let Some(seat) = self.seats.entry(trial) else { unreachable!("trial {trial} has entered") };
        assert_eq!((seat.rung, seat.state), (rung, State::Coming), "trial {trial} was on its way here");
        seat.state = State::Waiting(loss);
        let index = seat.bracket;
        let bracket = &mut self.brackets[index];
        let round = &mut bracket.rounds[rung - bracket.entry];
        round.coming -= 1;
        round.settled.insert((loss, trial));
        self.close_if_complete(index);
        Verdict::Pause
    }

    fn promote(&mut self) -> Option<Promotion> {
        let (_, (_, trial)) = self.ready.pop_first()?;
        let seat = self.seats.entry(trial).as_mut()?;
        seat.state = State::Coming;
        Some(Promotion { trial, to: seat.rung })
    }

    fn gave_up(&mut self, trial: TrialId) {
        self.out(trial);
    }

    fn hopeless(&mut self) -> Vec<TrialId> {
        std::mem::take(&mut self.hopeless)
    }

    /// Among those who are on the rung or out of the race. While others are on their way, the quota is that of all who
    /// take part, and the cutoff what it would be if they all came to be worse.
    fn standing(&self, rung: Rung, trial: TrialId) -> Option<Standing> {
        let (bracket, round) = self.round(rung, trial)?;
        let rank = round.settled.iter().position(|&(_, other)| other == trial)?;
        let still_to_enter = if rung == self.brackets[bracket].entry { self.brackets[bracket].room as usize } else { 0 };
        let members = round.settled.len() + round.coming + still_to_enter;
        let places = members / self.pass.eta as usize;
        let best = round.settled.iter().take(places).take_while(|(loss, _)| loss.is_finite());
        let (finite, cutoff) = best.fold((0, None), |(count, _), &(loss, _)| (count + 1, Some(loss)));
        let quota = if round.closed { finite } else { places };
        // Fewer are here than may go on: anybody would.
        let cutoff = cutoff.filter(|_| round.closed || finite == places);
        Some(Standing { bracket, rank, population: round.settled.len(), quota: Some(quota), cutoff })
    }

    fn rivals(&self, rung: Rung, trial: TrialId) -> Vec<Place> {
        let round = self.round(rung, trial).map(|(_, round)| round);
        let round = round.filter(|round| round.settled.iter().any(|&(_, other)| other == trial));
        round.map(|round| round.settled.iter().copied().collect()).unwrap_or_default()
    }

    fn barriers(&self) -> Vec<Barrier> {
        let mut coming: BTreeMap<(usize, Rung), Vec<TrialId>> = BTreeMap::new();
        for (trial, seat) in self.seated().filter(|(_, seat)| matches!(seat.state, State::Coming | State::Chosen(_))) {
            coming.entry((seat.bracket, seat.rung)).or_default().push(trial);
        }
        let open = self.brackets.iter().enumerate().filter(|(_, bracket)| bracket.rounds.last().is_some_and(|round| !round.closed));
        open.map(|(index, bracket)| {
            let rung = bracket.entry + bracket.rounds.len() - 1;
            Barrier { bracket: index, rung, trials: coming.remove(&(index, rung)).unwrap_or_default(), to_come: bracket.room }
        })
        .collect()
    }

    fn check(&self) {
        let mut coming: BTreeMap<(usize, Rung), usize> = BTreeMap::new();
        for (trial, seat) in self.seated() {
            match seat.state {
                State::Coming => *coming.entry((seat.bracket, seat.rung)).or_default() += 1,
                State::Chosen(loss) => {
                    *coming.entry((seat.bracket, seat.rung)).or_default() += 1;
                    assert!(loss.is_finite(), "trial {trial} has diverged and is to go on");
                    assert!(self.ready.contains(&(seat.bracket, (loss, trial))), "trial {trial} is chosen and not ready");
                }
                State::Waiting(_) => {
                    assert!(self.round(seat.rung, trial).is_some_and(|(_, round)| !round.closed), "trial {trial} waits for nobody");
                }
                State::Out => {}
            }
        }
        let chosen = self.seated().filter(|(_, seat)| matches!(seat.state, State::Chosen(_))).count();
        assert_eq!(chosen, self.ready.len());
        for (index, bracket) in self.brackets.iter().enumerate() {
            assert!(bracket.room == 0 || index + 1 == self.brackets.len(), "bracket {index} was not filled");
            for (step, round) in bracket.rounds.iter().enumerate() {
                let on_their_way = coming.get(&(index, bracket.entry + step)).copied().unwrap_or_default();
                assert_eq!(round.coming, on_their_way, "bracket {index}, round {step}");
                let complete = bracket.room == 0 && round.coming == 0;
                assert_eq!(round.closed, complete, "bracket {index}, round {step} closes when all are in");
                if let Some(next) = bracket.rounds.get(step + 1) {
                    assert_eq!(next.settled.len() + next.coming, round.best(self.pass.eta).count());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
