//! How a strategy's bases and weights split a number of tasks: the normative rule at the top of spec ecs.md (base first,
//! then D'Hondt on the total, ties to the earlier item; the rounding is our reading).

use super::StrategyItem;

/// How many of `total` tasks each item gets, in the strategy's order. The sum is `total` unless no item can take the
/// rest (a single item of weight 0 whose base does not cover it).
pub(super) fn split(strategy: &[StrategyItem], total: i64) -> Vec<i64> {
    let mut shares: Vec<i64> = strategy.iter().map(|_| 0).collect();
    let mut rest = total.max(0);
    if let Some(at) = strategy.iter().position(|item| item.base > 0) {
        let base = strategy[at].base.min(rest);
        shares[at] = base;
        rest -= base;
    }
    for (share, weighted) in shares.iter_mut().zip(dhondt(strategy, rest)) {
        *share += weighted;
    }
    shares
}

/// D'Hondt gives each item at least its exact share rounded down, so the walk starts there: at most one step for each
/// item remains, however many tasks there are.
fn dhondt(strategy: &[StrategyItem], rest: i64) -> Vec<i64> {
    let sum: i64 = strategy.iter().map(|item| item.weight).sum();
    if sum == 0 {
        return strategy.iter().map(|_| 0).collect();
    }
    let mut shares: Vec<i64> = strategy.iter().map(|item| rest * item.weight / sum).collect();
    for _ in shares.iter().sum::<i64>()..rest {
        let mut next: Option<usize> = None;
        for (at, item) in strategy.iter().enumerate().filter(|(_, item)| item.weight > 0) {
            // (n_i + 1) / w_i < (n_j + 1) / w_j, without a division.
            let earlier_wins = next.is_some_and(|best| {
                (shares[at] + 1) * strategy[best].weight >= (shares[best] + 1) * item.weight
            });
            if !earlier_wins {
                next = Some(at);
            }
        }
        shares[next.expect("some weight is above 0")] += 1;
    }
    shares
}

/// The provider that gives up a task when there are too many: the one most above its share, the later one on a tie
/// (which keeps the base's provider). `None` when none is above.
pub(super) fn most_above(shares: &[i64], have: &[i64]) -> Option<usize> {
    let above = |at: usize| have[at] - shares[at];
    (0..shares.len()).filter(|at| above(*at) > 0).max_by_key(|at| (above(*at), *at))
}

/// The provider that gets the next task: the one most below its share, the earlier one on a tie.
pub(super) fn most_below(shares: &[i64], have: &[i64]) -> Option<usize> {
    let below = |at: usize| shares[at] - have[at];
    (0..shares.len()).filter(|at| below(*at) > 0).max_by_key(|at| (below(*at), std::cmp::Reverse(*at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn strategy(items: &[(i64, i64)]) -> Vec<StrategyItem> {
        let name = |at: usize| format!("provider-{at}").into();
        let item = |(at, (base, weight)): (usize, &(i64, i64))| StrategyItem {
            provider: name(at),
            base: *base,
            weight: *weight,
        };
        items.iter().enumerate().map(item).collect()
    }

    /// The rule as it is written, one task at a time.
    fn naive(items: &[StrategyItem], total: i64) -> Vec<i64> {
        let mut based: Vec<i64> = items.iter().map(|_| 0).collect();
        let mut rest = total;
        if let Some(at) = items.iter().position(|item| item.base > 0) {
            based[at] = items[at].base.min(rest);
            rest -= based[at];
        }
        let mut weighted: Vec<i64> = items.iter().map(|_| 0).collect();
        for _ in 0..rest {
            let candidates = (0..items.len()).filter(|at| items[*at].weight > 0);
            let better = |a: &usize, b: &usize| {
                let (a, b) = (*a, *b);
                ((weighted[a] + 1) * items[b].weight)
                    .cmp(&((weighted[b] + 1) * items[a].weight))
                    .then(a.cmp(&b))
            };
            if let Some(at) = candidates.min_by(better) {
                weighted[at] += 1;
            }
        }
        based.iter().zip(&weighted).map(|(a, b)| a + b).collect()
    }

    #[test]
    fn published_examples() {
        let check = |items: &[(i64, i64)], total: i64, expect: &[i64]| {
            assert_eq!(split(&strategy(items), total), expect, "{items:?} × {total}");
        };
        check(&[(1, 1), (0, 1)], 20, &[11, 9]);
        check(&[(1, 1), (0, 4)], 40, &[9, 31]);
        check(&[(1, 1), (0, 4)], 10, &[3, 7]);
        check(&[(2, 1), (0, 3)], 10, &[4, 6]);
        check(&[(2, 1), (0, 3)], 22, &[7, 15]);
        check(&[(0, 3), (0, 1)], 4, &[3, 1]);
        check(&[(5, 0)], 3, &[3]);
        check(&[(5, 0)], 7, &[5]);
        check(&[(0, 7)], 7, &[7]);
        check(&[(5, 0), (0, 1)], 3, &[3, 0]);
    }

    #[test]
    fn growing_totals() {
        let check = |items: &[(i64, i64)], expect: &[&[i64]]| {
            for (total, row) in (0..).zip(expect) {
                assert_eq!(split(&strategy(items), total), *row, "{items:?} × {total}");
            }
        };
        check(
            &[(1, 1), (0, 4)],
            &[
                &[0, 0],
                &[1, 0],
                &[1, 1],
                &[1, 2],
                &[1, 3],
                &[2, 3],
                &[2, 4],
                &[2, 5],
                &[2, 6],
                &[2, 7],
                &[3, 7],
                &[3, 8],
            ],
        );
        check(
            &[(0, 6), (0, 6), (0, 2)],
            &[
                &[0, 0, 0],
                &[1, 0, 0],
                &[1, 1, 0],
                &[2, 1, 0],
                &[2, 2, 0],
                &[3, 2, 0],
                &[3, 3, 0],
                &[3, 3, 1],
                &[4, 3, 1],
                &[4, 4, 1],
                &[5, 4, 1],
                &[5, 5, 1],
            ],
        );
    }

    prop_compose! {
        fn any_strategy()(
            weights in prop::collection::vec(0i64..=1000, 1..=20),
            base in 0i64..=60,
            based in any::<prop::sample::Index>(),
        ) -> Vec<StrategyItem> {
            let mut items: Vec<(i64, i64)> = weights.iter().map(|weight| (0, *weight)).collect();
            if weights.iter().all(|weight| *weight == 0) {
                items[0].1 = 1;
            }
            items[based.index(weights.len())].0 = base;
            strategy(&items)
        }
    }

    proptest! {
        #[test]
        fn exact_and_as_written(items in any_strategy(), total in 0i64..400) {
            let shares = split(&items, total);
            prop_assert_eq!(shares.iter().sum::<i64>(), total);
            prop_assert_eq!(&shares, &naive(&items, total));
            // The base is kept, and no item without weight gets more than its base.
            for (item, share) in items.iter().zip(&shares) {
                prop_assert!(*share >= item.base.min(total));
                prop_assert!(item.weight > 0 || *share <= item.base);
            }
        }

        #[test]
        fn monotone_in_the_total(items in any_strategy(), total in 0i64..5000) {
            let (now, next) = (split(&items, total), split(&items, total + 1));
            let grown: Vec<i64> = now.iter().zip(&next).map(|(a, b)| b - a).collect();
            prop_assert!(grown.iter().all(|step| *step >= 0), "{now:?} → {next:?}");
            prop_assert_eq!(grown.iter().sum::<i64>(), 1);
        }

        #[test]
        fn stable_when_an_idle_provider_joins(items in any_strategy(), total in 0i64..500) {
            let mut more = items.clone();
            more.extend(strategy(&[(0, 0)]));
            let mut expect = split(&items, total);
            expect.push(0);
            prop_assert_eq!(split(&more, total), expect);
        }

        #[test]
        fn filling_and_emptying_follow_the_shares(items in any_strategy(), up in 0i64..120, down in 0i64..120) {
            let mut have: Vec<i64> = items.iter().map(|_| 0).collect();
            for total in 0..=up {
                let shares = split(&items, total);
                while let Some(at) = most_below(&shares, &have) {
                    have[at] += 1;
                }
                prop_assert_eq!(&have, &shares);
            }
            let shares = split(&items, down.min(up));
            while let Some(at) = most_above(&shares, &have) {
                have[at] -= 1;
            }
            prop_assert_eq!(&have, &shares);
        }
    }
}
