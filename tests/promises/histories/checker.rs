//! Whether a history of calls is linearizable: whether each call can be given a moment between its
//! sending and its answer so that, taken in that order, all are answered as a model says. The search
//! is Wing and Gong's with Lowe's memory of what was tried, and two savings of its own: a call that
//! changes nothing is taken as soon as it can be, which loses no order; and a call whose outcome is
//! unknown is taken only where it changes something, or never.

use std::{collections::HashSet, hash::Hash};

use super::record::Moment;

/// What calls do, one after another.
pub(super) trait Model {
    /// What the calls are about.
    type State: Clone;
    /// A call with its outcome.
    type Call;
    /// What tells one state from another.
    type Key: Eq + Hash;

    /// Before all calls.
    fn initial(&self) -> Self::State;

    /// The state after a call that came to what it came to; nothing if it cannot have. For an
    /// unknown outcome the state that the call would lead to, or nothing.
    fn step(&self, state: &Self::State, call: &Self::Call) -> Option<Self::State>;

    /// Two states of one key answer all calls alike.
    fn key(&self, state: &Self::State) -> Self::Key;
}

/// A call in time.
#[derive(Debug, Clone)]
pub(super) struct Timed<C> {
    pub(super) invoked: Moment,
    /// Nothing: the outcome is unknown, and what it does may come at any time, or never.
    pub(super) returned: Option<Moment>,
    pub(super) call: C,
}

/// No order explains the calls.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stuck {
    /// The calls of the longest order found, by their places in the history.
    pub(super) order: Vec<usize>,
    /// The calls that would have to be next, none of which can be.
    pub(super) next: Vec<usize>,
}

/// Finds an order that explains all calls whose outcome is known.
pub(super) fn linearize<M: Model>(
    model: &M,
    calls: &[Timed<M::Call>],
) -> Result<Vec<usize>, Stuck> {
    let mut by_sending: Vec<usize> = (0..calls.len()).collect();
    by_sending.sort_by_key(|index| calls[*index].invoked);
    let known = calls.iter().filter(|call| call.returned.is_some()).count();
    Search {
        model,
        calls,
        by_sending,
        known_left: known,
        taken: vec![false; calls.len()],
        order: Vec::new(),
        tried: HashSet::new(),
        stuck: Stuck {
            order: Vec::new(),
            next: Vec::new(),
        },
    }
    .run()
}

struct Search<'a, M: Model> {
    model: &'a M,
    calls: &'a [Timed<M::Call>],
    by_sending: Vec<usize>,
    known_left: usize,
    taken: Vec<bool>,
    order: Vec<usize>,
    /// Which calls were taken, and to which state that led.
    tried: HashSet<(Vec<bool>, M::Key)>,
    stuck: Stuck,
}

/// A state of the search from which several calls may be next.
struct Fork<S> {
    /// How many calls had been taken before it.
    taken_before: usize,
    /// What is yet to be tried, the last first.
    choices: Vec<(usize, S)>,
    /// Before which call, in the order of sending, all are taken.
    low: usize,
}

impl<M: Model> Search<'_, M> {
    fn run(mut self) -> Result<Vec<usize>, Stuck> {
        let mut forks = vec![self.enter(0, &self.model.initial(), 0)];
        while self.known_left > 0 {
            let Some(fork) = forks.last_mut() else {
                return Err(self.stuck);
            };
            if let Some((index, state)) = fork.choices.pop() {
                let (before, low) = (self.order.len(), fork.low);
                self.take(index);
                let fork = self.enter(before, &state, low);
                forks.push(fork);
            } else {
                let before = fork.taken_before;
                forks.pop();
                self.give_back(before);
            }
        }
        Ok(self.order)
    }

    /// Takes what changes nothing and finds what may be next.
    fn enter(&mut self, taken_before: usize, state: &M::State, mut low: usize) -> Fork<M::State> {
        let key = self.model.key(state);
        let mut choices = Vec::new();
        loop {
            while self.by_sending.get(low).is_some_and(|i| self.taken[*i]) {
                low += 1;
            }
            let next = self.next(low);
            let steps = next
                .iter()
                .map(|i| (*i, self.model.step(state, &self.calls[*i].call)));
            let mut unmoved = None;
            choices.clear();
            for (index, after) in steps.filter_map(|(i, after)| Some((i, after?))) {
                if self.model.key(&after) != key {
                    choices.push((index, after));
                } else if self.calls[index].returned.is_some() {
                    unmoved = Some(index);
                    break;
                }
            }
            let Some(index) = unmoved else {
                self.remember(&next);
                break;
            };
            self.take(index);
        }
        if !self.tried.insert((self.taken.clone(), key)) {
            choices.clear();
        }
        // Tried from the end: known outcomes first, then in the order of sending.
        choices.reverse();
        choices.sort_by_key(|(index, _)| self.calls[*index].returned.is_some());
        Fork {
            taken_before,
            choices,
            low,
        }
    }

    /// The calls that were sent before any of those left had its answer.
    fn next(&self, low: usize) -> Vec<usize> {
        let mut answered = Moment::MAX;
        let mut next = Vec::new();
        for index in &self.by_sending[low..] {
            let call = &self.calls[*index];
            if self.taken[*index] {
                continue;
            }
            if call.invoked > answered {
                break;
            }
            answered = answered.min(call.returned.unwrap_or(Moment::MAX));
            next.push(*index);
        }
        next
    }

    fn take(&mut self, index: usize) {
        self.taken[index] = true;
        self.order.push(index);
        self.known_left -= usize::from(self.calls[index].returned.is_some());
    }

    fn give_back(&mut self, before: usize) {
        for index in self.order.split_off(before) {
            self.taken[index] = false;
            self.known_left += usize::from(self.calls[index].returned.is_some());
        }
    }

    fn remember(&mut self, next: &[usize]) {
        if self.order.len() >= self.stuck.order.len() {
            self.stuck.order.clone_from(&self.order);
            self.stuck.next = next.to_vec();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Model, Stuck, Timed, linearize};

    /// A register that is written, read, and swapped if it holds what is expected.
    struct Register;

    #[derive(Debug, Clone, Copy)]
    enum Op {
        Write(u8),
        Read(u8),
        /// From, to, and whether it did.
        Swap(u8, u8, bool),
        /// The same, with an outcome that nobody knows.
        SwapUnknown(u8, u8),
    }
    use Op::{Read, Swap, SwapUnknown, Write};

    impl Model for Register {
        type State = u8;
        type Call = Op;
        type Key = u8;

        fn initial(&self) -> u8 {
            0
        }

        fn step(&self, state: &u8, call: &Op) -> Option<u8> {
            match *call {
                Write(value) => Some(value),
                Read(value) => (value == *state).then_some(value),
                Swap(from, _, false) => (from != *state).then_some(*state),
                Swap(from, to, true) | SwapUnknown(from, to) => (from == *state).then_some(to),
            }
        }

        fn key(&self, state: &u8) -> u8 {
            *state
        }
    }

    /// Calls as (sent, answered, what); answered at 0: never.
    fn check(calls: &[(u64, u64, Op)]) -> Result<Vec<usize>, Stuck> {
        let timed = calls.iter().map(|(invoked, returned, call)| Timed {
            invoked: *invoked,
            returned: (*returned > 0).then_some(*returned),
            call: *call,
        });
        linearize(&Register, &timed.collect::<Vec<_>>())
    }

    #[test]
    fn calls_one_after_another_are_linearizable_as_they_stand() {
        assert_eq!(check(&[]), Ok(vec![]));
        let order = check(&[(1, 2, Write(1)), (3, 4, Read(1)), (5, 6, Swap(1, 2, true))]);
        assert_eq!(order, Ok(vec![0, 1, 2]));
    }

    #[test]
    fn a_read_may_see_a_write_that_is_under_way_or_not() {
        assert!(check(&[(1, 10, Write(1)), (2, 3, Read(1)), (4, 5, Read(1))]).is_ok());
        assert!(check(&[(1, 10, Write(1)), (2, 3, Read(0)), (4, 5, Read(1))]).is_ok());
    }

    #[test]
    fn what_was_seen_is_not_unseen() {
        let stuck = check(&[(1, 10, Write(1)), (2, 3, Read(1)), (4, 5, Read(0))]);
        assert_eq!(stuck.map_err(|stuck| stuck.next), Err(vec![2]));
    }

    #[test]
    fn a_stale_read_is_found() {
        assert!(check(&[(1, 2, Write(1)), (3, 4, Read(0))]).is_err());
    }

    #[test]
    fn of_two_swaps_of_one_value_one_succeeds() {
        assert!(check(&[(1, 9, Swap(0, 1, true)), (2, 8, Swap(0, 2, false))]).is_ok());
        assert!(check(&[(1, 9, Swap(0, 1, true)), (2, 8, Swap(0, 2, true))]).is_err());
    }

    #[test]
    fn what_is_unknown_may_have_happened_at_any_time_after_its_sending_or_never() {
        let unknown = (1, 0, SwapUnknown(0, 7));
        assert!(check(&[unknown, (2, 3, Read(0))]).is_ok());
        assert!(check(&[unknown, (2, 3, Read(0)), (4, 5, Read(7))]).is_ok());
        assert!(check(&[unknown, (2, 3, Read(7)), (4, 5, Read(7))]).is_ok());
        // Not twice, not undone, and not before it was sent.
        assert!(check(&[unknown, (2, 3, Read(7)), (4, 5, Write(0)), (6, 7, Read(7))]).is_err());
        assert!(check(&[unknown, (2, 3, Read(7)), (4, 5, Read(0))]).is_err());
        assert!(check(&[(1, 2, Read(7)), (3, 0, SwapUnknown(0, 7))]).is_err());
    }

    #[test]
    fn an_order_is_found_where_the_order_of_sending_is_none() {
        let calls = [
            (1, 20, Swap(2, 3, true)),
            (2, 20, Swap(1, 2, true)),
            (3, 20, Swap(0, 1, true)),
            (4, 20, Read(2)),
        ];
        assert_eq!(check(&calls), Ok(vec![2, 1, 3, 0]));
    }

    #[test]
    fn a_search_without_an_end_in_sight_remembers_what_it_tried() {
        // 20! orders without a memory, 2^20 sets with one; the reads make it few.
        let mut calls: Vec<_> = (0..10)
            .map(|n| (n, 100, Write(if n < 5 { 1 } else { 2 })))
            .collect();
        calls.push((11, 100, Read(9)));
        assert!(check(&calls).is_err());
    }
}
