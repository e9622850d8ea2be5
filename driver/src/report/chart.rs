//! A step curve as inline SVG.
use std::fmt::Write as _;

use maud::{Markup, html};

use super::words;

const LEFT: f64 = 72.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;
/// From this ratio of largest to smallest on, the vertical axis is logarithmic.
const LOG_FROM: f64 = 30.0;

/// A step curve over a horizontal axis that starts at 0.
pub(super) struct Chart<'a> {
    /// Name of the horizontal axis.
    pub(super) across: &'a str,
    /// Name of the vertical axis.
    pub(super) up: &'a str,
    /// Each step: where, the value from there on, and a word on it.
    pub(super) steps: &'a [(f64, f64, String)],
    /// Single values, drawn as dots where they lie on the axes of the curve.
    pub(super) dots: &'a [(f64, f64, String)],
    /// Where the horizontal axis ends; not below the last step.
    pub(super) end: f64,
    /// Width and height in pixels at the usual size of a page, for which the size of the letters is chosen.
    pub(super) size: (f64, f64),
}

/// The vertical axis.
#[derive(Debug, PartialEq)]
struct Axis {
    low: f64,
    high: f64,
    log: bool,
}

impl Axis {
    /// Around `values`, of which there is at least one, all finite.
    fn around(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > 0.0 && high / low >= LOG_FROM {
            let room = (high / low).powf(0.06);
            return Self { low: low / room, high: high * room, log: true };
        }
        let room = if high > low { 0.12 * (high / 2.0 - low / 2.0) } else { (0.05 * low.abs()).max(1e-12) };
        Self { low: (low - room).max(f64::MIN), high: (high + room).min(f64::MAX), log: false }
    }

    /// Where a value lies: 0 at the bottom, 1 at the top.
    fn place(&self, value: f64) -> f64 {
        if self.log {
            return (value / self.low).ln() / (self.high / self.low).ln();
        }
        // Halved first: the distance of two finite values need not be finite.
        (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0)
    }

    fn ticks(&self) -> Vec<f64> {
        if self.log { log_ticks(self.low, self.high) } else { ticks(self.low, self.high, 6) }
    }
}

/// Round numbers from `low` to `high`, at most about `most`.
fn ticks(low: f64, high: f64, most: u32) -> Vec<f64> {
    let step = words::nice_step(high - low, most);
    if !step.is_finite() || step <= 0.0 {
        return vec![];
    }
    let (first, last) = ((low / step).ceil(), (high / step * (1.0 + 1e-12)).floor());
    let count = (last - first).clamp(-1.0, f64::from(most) + 1.0) as i32;
    (0..=count).map(|index| words::multiple(step, first + f64::from(index))).collect()
}

/// Powers of ten, with 2 and 5 between them where there is room.
fn log_ticks(low: f64, high: f64) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let leads: &[f64] = if last - first <= 3 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let every = ((last - first) / 8 + 1) as usize;
    let powers = (first..=last).step_by(every).map(|power| 10_f64.powi(power));
    powers.flat_map(|power| leads.iter().map(move |lead| lead * power)).filter(|value| (low..=high).contains(value)).collect()
}

impl Chart<'_> {
    /// The drawing.
    pub(super) fn draw(&self) -> Markup {
        let (width, height) = self.size;
        let axis = Axis::around(self.steps.iter().map(|step| step.1));
        let end = if self.end > 0.0 { self.end } else { 1.0 };
        let (bottom, right) = (height - BOTTOM, width - RIGHT);
        let x = |value: f64| LEFT + (right - LEFT) * (value / end).clamp(0.0, 1.0);
        let y = |value: f64| bottom - (bottom - TOP) * axis.place(value);
        let middle = (TOP + bottom) / 2.0;
        let seen = self.dots.iter().filter(|dot| (axis.low..=axis.high).contains(&dot.1));
        html! {
            svg viewBox={ "0 0 " (width) " " (height) } role="img" aria-label={ (self.up) " against " (self.across) } {
                @for tick in axis.ticks() {
                    line.grid x1=(LEFT) x2=(right) y1=(px(y(tick))) y2=(px(y(tick))) {}
                    text.tick x=(LEFT - 8.0) y=(px(y(tick) + 4.0)) text-anchor="end" { (words::short(tick, 6)) }
                }
                @for tick in ticks(0.0, end, (width / 90.0) as u32) {
                    line.axis x1=(px(x(tick))) x2=(px(x(tick))) y1=(bottom) y2=(bottom + 5.0) {}
                    text.tick x=(px(x(tick))) y=(bottom + 19.0) text-anchor="middle" { (words::short(tick, 6)) }
                }
                line.axis x1=(LEFT) x2=(right) y1=(bottom) y2=(bottom) {}
                text.title x=(px((LEFT + right) / 2.0)) y=(height - 6.0) text-anchor="middle" { (self.across) }
                text.title x="14" y=(px(middle)) text-anchor="middle" transform={ "rotate(-90 14 " (px(middle)) ")" } { (self.up) }
                @for dot in seen {
                    circle.dot cx=(px(x(dot.0))) cy=(px(y(dot.1))) r="3" { title { (dot.2) } }
                }
                path.curve d=(self.path(&x, &y, right)) {}
                @for step in self.steps {
                    circle.step cx=(px(x(step.0))) cy=(px(y(step.1))) r="3.5" { title { (step.2) } }
                }
            }
        }
    }

    fn path(&self, x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64, right: f64) -> String {
        let mut path = String::new();
        for (index, step) in self.steps.iter().enumerate() {
            let (x, y) = (px(x(step.0)), px(y(step.1)));
            let _ = if index == 0 { write!(path, "M{x} {y}") } else { write!(path, "H{x}V{y}") };
        }
        let _ = write!(path, "H{right}");
        path
    }
}

/// A coordinate to a tenth of a pixel.
fn px(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(0.0, 0.35, 8), [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35]);
        assert_eq!(ticks(-2.5, 7.0, 5), [-2.0, 0.0, 2.0, 4.0, 6.0]);
        assert_eq!(ticks(0.0, 260.0, 6), [0.0, 50.0, 100.0, 150.0, 200.0, 250.0]);
        assert_eq!(log_ticks(0.03, 2.5), [0.05, 0.1, 0.2, 0.5, 1.0, 2.0]);
        assert_eq!(log_ticks(1e-9, 1e9).len(), 7);
    }

    #[test]
    fn the_axis_holds_what_it_is_made_for() {
        for values in [vec![0.5], vec![0.0], vec![-3.0, 4.0], vec![0.01, 90.0], vec![-1e308, 1e308], vec![1.0, 1.0 + f64::EPSILON]] {
            let axis = Axis::around(values.iter().copied());
            assert!(values.iter().all(|value| (0.0..=1.0).contains(&axis.place(*value))), "{values:?} {axis:?}");
            assert!(axis.ticks().len() < 40, "{values:?} {axis:?}");
        }
        assert!(Axis::around([0.01, 90.0].into_iter()).log);
        assert!(!Axis::around([-0.01, 90.0].into_iter()).log);
    }
}
