//! Arbitrary values of a schema, from a seed.

use capstan_model::Time;
use capstan_shapes::{Kind, Schema, Value};

/// Deeper records stay empty, so that recursive and huge shapes end.
const DEPTH_MAX: usize = 7;

pub(super) struct Source(pub(super) u64);

impl Source {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 16] =
            ["a", "Z", "0", ".", "&", "<", ">", "\"", "'", "\r", "\n", " ", "+%2", "ü", "名", "🦀"];
        (0..self.below(8)).map(|_| PIECES[self.below(16) as usize]).collect()
    }

    pub(super) fn value(&mut self, schema: &Schema, depth: usize) -> Value {
        match &schema.kind {
            Kind::Record { members } => {
                let sparse = 2 + depth as u64;
                let mut member = |schema| {
                    let there = depth < DEPTH_MAX && self.below(sparse) == 0;
                    there.then(|| self.value(schema, depth + 1))
                };
                Value::Record(members.iter().map(|m| member(m.schema)).collect())
            }
            Kind::List { member, .. } => {
                Value::List((0..self.below(4)).map(|_| self.value(member, depth + 1)).collect())
            }
            Kind::Map { value, .. } => {
                Value::Map((0..self.below(4)).map(|_| (self.text(), self.value(value, depth + 1))).collect())
            }
            Kind::Document | Kind::Text { .. } => Value::Text(self.text()),
            Kind::Bool => Value::Bool(self.below(2) == 0),
            Kind::Blob { .. } => {
                Value::Blob((0..self.below(9)).map(|_| self.next() as u8).collect::<Vec<u8>>().into())
            }
            Kind::Int { long, .. } => {
                let number = self.next() as i64 >> self.below(64);
                Value::Int(if *long { number } else { i64::from(number as i32) })
            }
            Kind::Float { .. } => match f64::from_bits(self.next()) {
                number if number.is_nan() => Value::Float(f64::INFINITY),
                number => Value::Float(number),
            },
            // Whole seconds, which every protocol carries; 1902 to 2038.
            Kind::Time { .. } => Value::Time(Time::from_secs(i64::from(self.next() as i32))),
        }
    }
}

/// Without what a form cannot say: records without members and, with `lists`, lists without items (ec2Query).
pub(super) fn pruned(value: Value, lists: bool) -> Option<Value> {
    match value {
        Value::Record(values) => {
            let values: Vec<_> = values.into_iter().map(|value| pruned(value?, lists)).collect();
            values.iter().any(Option::is_some).then_some(Value::Record(values))
        }
        Value::List(items) => {
            let items: Vec<_> = items.into_iter().filter_map(|item| pruned(item, lists)).collect();
            (!lists || !items.is_empty()).then_some(Value::List(items))
        }
        Value::Map(items) => {
            let items = items.into_iter().filter_map(|(key, item)| Some((key, pruned(item, lists)?)));
            let items: std::collections::BTreeMap<_, _> = items.collect();
            (!items.is_empty()).then_some(Value::Map(items))
        }
        other => Some(other),
    }
}
