//! Glyph-like images from nothing but a seed: each class is a few strokes; each image shows them shifted, scaled, rotated,
//! bent, thick or thin, dim or bright, and noisy. Hard enough that a good learning rate and a convolution pay.
use hpo_core::Seed;
use rand::rngs::ChaCha8Rng;

use super::draw::{bell, below, signed, unit};
use super::{DataFault, Raw};

/// Candidates drawn for each class; the one that looks least like the classes before it is taken.
const CANDIDATES: usize = 24;
const STROKES: usize = 2;
const POINTS: usize = 4;
/// Shares of the image, or plain factors.
const SHIFT: f32 = 0.12;
const SCALE: f32 = 0.2;
/// Tangent of half the largest angle: 28 degrees.
const TURN: f32 = 0.25;
const BEND: f32 = 0.035;
/// Strokes that belong to no class are drawn into every image.
const CLUTTER: usize = 1;

type Point = [f32; 2];
/// Points of one stroke; coordinates from -1 to 1.
type Stroke = [Point; POINTS];
type Shape = [Stroke; STROKES];

/// `count` images of `size` x `size` pixels in `classes` classes of (nearly) equal frequency.
pub(super) fn generate(count: u32, classes: u32, size: u32, noise: f64, seed: Seed) -> Result<Raw, DataFault> {
    let check = |name, value: f64, low: f64, high: f64| {
        if (low..=high).contains(&value) { Ok(()) } else { Err(DataFault::Glyphs { name, value, low, high }) }
    };
    check("count", count.into(), 3.0, 1e6)?;
    check("classes", classes.into(), 2.0, 64.0)?;
    check("size", size.into(), 8.0, 128.0)?;
    check("noise", noise, 0.0, 2.0)?;

    let shapes = shapes(classes, seed);
    let side = size as usize;
    let mut pixels = Vec::with_capacity(count as usize * side * side);
    let mut labels = Vec::with_capacity(count as usize);
    let mut rng = seed.derive("images", 0).rng();
    for _ in 0..count {
        let class = below(&mut rng, classes);
        let strokes = pose(&shapes[class as usize], &mut rng);
        let thick = 0.07 + 0.06 * unit(&mut rng);
        let bright = 0.55 + 0.45 * unit(&mut rng);
        let picture = render(&strokes, side, thick);
        pixels.extend(picture.into_iter().map(|ink| {
            let value = bright * ink + noise as f32 * bell(&mut rng);
            (value.clamp(0.0, 1.0) * 255.0).round() as u8
        }));
        labels.push(class as u8);
    }
    Ok(Raw { pixels, labels, input: [1, side, side], classes: classes as usize })
}

/// One shape a class, chosen to be unlike each other.
fn shapes(classes: u32, seed: Seed) -> Vec<Shape> {
    const SIDE: usize = 12;
    let mut chosen: Vec<(Shape, Vec<f32>)> = vec![];
    for class in 0..classes {
        let mut rng = seed.derive("shape", class.into()).rng();
        let candidates = (0..CANDIDATES).map(|_| {
            let shape: Shape = std::array::from_fn(|_| stroke(&mut rng));
            let look = render(&shape, SIDE, 0.25);
            let nearest = chosen.iter().map(|(_, other)| distance(&look, other)).fold(f32::INFINITY, f32::min);
            (nearest, shape, look)
        });
        if let Some((_, shape, look)) = candidates.max_by(|a, b| a.0.total_cmp(&b.0)) {
            chosen.push((shape, look));
        }
    }
    chosen.into_iter().map(|(shape, _)| shape).collect()
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn stroke(rng: &mut ChaCha8Rng) -> Stroke {
    std::array::from_fn(|_| [0.7 * signed(rng), 0.7 * signed(rng)])
}

/// The shape as one hand draws it, and a stroke of clutter.
fn pose(shape: &Shape, rng: &mut ChaCha8Rng) -> Vec<Stroke> {
    // (1 - t^2, 2t) / (1 + t^2) is on the unit circle: a rotation without a sine, which no two libraries round alike.
    let turn = TURN * signed(rng);
    let (cosine, sine) = ((1.0 - turn * turn) / (1.0 + turn * turn), 2.0 * turn / (1.0 + turn * turn));
    let scale = 1.0 + SCALE * signed(rng);
    let shift = [2.0 * SHIFT * signed(rng), 2.0 * SHIFT * signed(rng)];
    let mut place = |[x, y]: Point| {
        let (x, y) = (scale * x + 2.0 * BEND * signed(rng), scale * y + 2.0 * BEND * signed(rng));
        [cosine * x - sine * y + shift[0], sine * x + cosine * y + shift[1]]
    };
    let mut strokes: Vec<Stroke> = shape.iter().map(|stroke| stroke.map(&mut place)).collect();
    for _ in 0..CLUTTER {
        let (centre, reach) = ([0.9 * signed(rng), 0.9 * signed(rng)], 0.25);
        strokes.push(std::array::from_fn(|_| [centre[0] + reach * signed(rng), centre[1] + reach * signed(rng)]));
    }
    strokes
}

/// Ink from 0 to 1 at each pixel: full within half of `thick` of a stroke, fading over one pixel.
fn render(strokes: &[Stroke], side: usize, thick: f32) -> Vec<f32> {
    let pixel = 2.0 / side as f32;
    let mut ink = vec![0_f32; side * side];
    let segments = strokes.iter().flat_map(|stroke| stroke.windows(2));
    for segment in segments {
        let (from, to) = (segment[0], segment[1]);
        // Only the pixels that the segment can reach.
        let reach = thick + pixel;
        let range = |axis: usize| {
            let (low, high) = (from[axis].min(to[axis]) - reach, from[axis].max(to[axis]) + reach);
            let index = |coordinate: f32| ((coordinate + 1.0) / pixel).clamp(0.0, side as f32) as usize;
            index(low)..(index(high) + 1).min(side)
        };
        for row in range(1) {
            for column in range(0) {
                let point = [(column as f32 + 0.5) * pixel - 1.0, (row as f32 + 0.5) * pixel - 1.0];
                let away = from_segment(point, from, to) - thick / 2.0;
                let here = &mut ink[row * side + column];
                *here = here.max((1.0 - away / pixel).clamp(0.0, 1.0));
            }
        }
    }
    ink
}

/// Distance of a point from a segment.
fn from_segment(point: Point, from: Point, to: Point) -> f32 {
    let along = [to[0] - from[0], to[1] - from[1]];
    let rest = [point[0] - from[0], point[1] - from[1]];
    let length = along[0] * along[0] + along[1] * along[1];
    let at = if length > 0.0 { ((rest[0] * along[0] + rest[1] * along[1]) / length).clamp(0.0, 1.0) } else { 0.0 };
    let (x, y) = (rest[0] - at * along[0], rest[1] - at * along[1]);
    (x * x + y * y).sqrt()
}
