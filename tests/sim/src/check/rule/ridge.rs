//! Kernel ridge regression by its definition: Saunders, Gammerman, Vovk, ICML 1998, with the whole inverse written out.

/// What is said of one input: the prediction, and the root mean square of what the fit without each example misses it by.
pub(super) fn predict(inputs: &[Vec<f64>], targets: &[f64], scaled: usize, asked: &[f64]) -> Option<(f64, f64)> {
    let scales: Vec<(f64, f64)> = (0..scaled).map(|column| scale(&inputs.iter().map(|input| input[column]).collect::<Vec<_>>())).collect();
    let standard = |input: &[f64]| -> Vec<f64> {
        let one = |(index, figure): (usize, &f64)| scales.get(index).map_or(*figure, |scale| cut(*figure, *scale));
        input.iter().enumerate().map(one).collect()
    };
    let points: Vec<Vec<f64>> = inputs.iter().map(|input| standard(input)).collect();
    let (middle, spread) = scale(targets);
    let heights: Vec<f64> = targets.iter().map(|target| cut(*target, (middle, spread))).collect();
    let mean = heights.iter().sum::<f64>() / heights.len() as f64;
    let far = |x: &[f64], z: &[f64]| x.iter().zip(z).map(|(x, z)| (x - z).powi(2)).sum::<f64>();
    let apart: Vec<f64> = (0..points.len()).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| far(&points[i], &points[j])).collect();
    let length = Some(median(&apart)).filter(|length| *length > 0.0).unwrap_or(1.0);
    let near = |x: &[f64], z: &[f64]| 1.0 / (1.0 + far(x, z) / (2.0 * length));
    let mut gram: Vec<Vec<f64>> = points.iter().map(|x| points.iter().map(|z| near(x, z)).collect()).collect();
    (0..gram.len()).for_each(|i| gram[i][i] += 0.1);
    let inverse = inverse(gram)?;
    let weights: Vec<f64> =
        inverse.iter().map(|row| row.iter().zip(&heights).map(|(entry, height)| entry * (height - mean)).sum()).collect();
    let misses = weights.iter().enumerate().map(|(i, weight)| (weight / inverse[i][i]).powi(2));
    let error = (misses.sum::<f64>() / weights.len() as f64).sqrt() * spread;
    let asked = standard(asked);
    let height = mean + points.iter().zip(&weights).map(|(x, weight)| weight * near(x, &asked)).sum::<f64>();
    Some((middle + height * spread, error)).filter(|(one, other)| one.is_finite() && other.is_finite())
}

/// Gauss and Jordan's.
fn inverse(mut matrix: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let n = matrix.len();
    for (i, row) in matrix.iter_mut().enumerate() {
        row.extend((0..n).map(|j| if i == j { 1.0 } else { 0.0 }));
    }
    for i in 0..n {
        let pivot = matrix[i][i];
        if pivot <= 0.0 || !pivot.is_finite() {
            return None;
        }
        matrix[i].iter_mut().for_each(|entry| *entry /= pivot);
        let row = matrix[i].clone();
        for (j, other) in matrix.iter_mut().enumerate().filter(|(j, _)| *j != i) {
            debug_assert_ne!(j, i);
            let factor = other[i];
            other.iter_mut().zip(&row).for_each(|(entry, above)| *entry -= factor * above);
        }
    }
    Some(matrix.into_iter().map(|row| row[n..].to_vec()).collect())
}

/// Median, and 1.4826 times the median deviation; where that is zero the mean one.
fn scale(figures: &[f64]) -> (f64, f64) {
    let middle = median(figures);
    let deviations: Vec<f64> = figures.iter().map(|figure| (figure - middle).abs()).collect();
    let mean = deviations.iter().sum::<f64>() / deviations.len() as f64;
    (middle, [1.4826 * median(&deviations), mean].into_iter().find(|spread| *spread > 0.0).unwrap_or(1.0))
}

fn cut(figure: f64, (middle, spread): (f64, f64)) -> f64 {
    ((figure - middle) / spread).clamp(-3.0, 3.0)
}

fn median(figures: &[f64]) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => 0.0,
        n if n % 2 == 1 => figures[n / 2],
        n => figures[n / 2 - 1] / 2.0 + figures[n / 2] / 2.0,
    }
}
