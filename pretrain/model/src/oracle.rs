//! The plain implementation in `f64`: slow, short, and what every other is tested against.

use ndarray::{Array1, Array2, ArrayView1, Axis, s};

use crate::{
    dropout::Mask,
    ops::{Heads, Linear, Ops, Reach, Write},
};

/// Plain `f64` on ndarray, one loop for each formula.
#[derive(Clone, Copy, Debug, Default)]
pub struct Oracle;

impl Ops for Oracle {
    type Tensor = Array2<f64>;

    fn zeros(&self, rows: usize, cols: usize) -> Array2<f64> {
        Array2::zeros((rows, cols))
    }

    fn tensor(&self, rows: usize, cols: usize, values: &[f32]) -> Array2<f64> {
        assert_eq!(rows * cols, values.len(), "a tensor has rows times columns values");
        Array2::from_shape_fn((rows, cols), |(row, col)| f64::from(values[row * cols + col]))
    }

    fn values(&self, tensor: &Array2<f64>) -> Vec<f64> {
        tensor.iter().copied().collect()
    }

    fn clear(&self, tensor: &mut Array2<f64>) {
        tensor.fill(0.0);
    }

    fn embedding(&mut self, ids: &[u32], table: &Array2<f64>, out: &mut Array2<f64>) {
        let ids: Vec<usize> = ids.iter().map(|&id| id as usize).collect();
        *out = table.select(Axis(0), &ids);
    }

    fn embedding_backward(&mut self, ids: &[u32], dout: &Array2<f64>, dtable: &mut Array2<f64>) {
        for (&id, row) in ids.iter().zip(dout.rows()) {
            dtable.row_mut(id as usize).scaled_add(1.0, &row);
        }
    }

    fn linear(
        &mut self,
        x: &Array2<f64>,
        layer: Linear<&Array2<f64>>,
        out: &mut Array2<f64>,
        write: Write,
    ) {
        put(affine(x, layer), out, write);
    }

    fn linear_backward(
        &mut self,
        x: &Array2<f64>,
        w: &Array2<f64>,
        dout: &Array2<f64>,
        dx: Option<(&mut Array2<f64>, Write)>,
        [dw, db]: [Option<&mut Array2<f64>>; 2],
    ) {
        if let Some((dx, write)) = dx {
            put(dout.dot(w), dx, write);
        }
        if let Some(dw) = dw {
            *dw += &dout.t().dot(x);
        }
        if let Some(db) = db {
            db.row_mut(0).scaled_add(1.0, &dout.sum_axis(Axis(0)));
        }
    }

    fn rms_norm(&mut self, x: &Array2<f64>, w: &Array2<f64>, eps: f64, out: &mut Array2<f64>) {
        *out = x.clone();
        for mut row in out.rows_mut() {
            let scale = rms_scale(row.view(), eps);
            row.zip_mut_with(&w.row(0), |value, weight| *value *= scale * weight);
        }
    }

    fn rms_norm_backward(
        &mut self,
        x: &Array2<f64>,
        w: &Array2<f64>,
        eps: f64,
        dout: &Array2<f64>,
        mut dx: Option<&mut Array2<f64>>,
        mut dw: Option<&mut Array2<f64>>,
    ) {
        for (at, (x, dout)) in x.rows().into_iter().zip(dout.rows()).enumerate() {
            let scale = rms_scale(x, eps);
            let weighted: Array1<f64> = &dout * &w.row(0);
            let along = weighted.dot(&x) * scale.powi(3) / x.len() as f64;
            if let Some(dx) = &mut dx {
                dx.row_mut(at).scaled_add(1.0, &(&weighted * scale - &x * along));
            }
            if let Some(dw) = &mut dw {
                dw.row_mut(0).scaled_add(scale, &(&dout * &x));
            }
        }
    }

    fn layer_norm(
        &mut self,
        x: &Array2<f64>,
        [w, b]: [&Array2<f64>; 2],
        eps: f64,
        out: &mut Array2<f64>,
    ) {
        *out = x.clone();
        for mut row in out.rows_mut() {
            let normed = normalized(row.view(), eps).0;
            row.assign(&(normed * w.row(0) + b.row(0)));
        }
    }

    fn layer_norm_backward(
        &mut self,
        x: &Array2<f64>,
        w: &Array2<f64>,
        eps: f64,
        dout: &Array2<f64>,
        mut dx: Option<&mut Array2<f64>>,
        [mut dw, mut db]: [Option<&mut Array2<f64>>; 2],
    ) {
        if let Some(dx) = &mut dx {
            **dx = Array2::zeros(x.dim());
        }
        for (at, (x, dout)) in x.rows().into_iter().zip(dout.rows()).enumerate() {
            let (normed, scale) = normalized(x, eps);
            let weighted: Array1<f64> = &dout * &w.row(0);
            let n = x.len() as f64;
            let (mean, along) = (weighted.sum() / n, weighted.dot(&normed) / n);
            if let Some(dx) = &mut dx {
                dx.row_mut(at).assign(&((weighted - mean - &normed * along) * scale));
            }
            if let Some(dw) = &mut dw {
                dw.row_mut(0).scaled_add(1.0, &(&dout * &normed));
            }
            if let Some(db) = &mut db {
                db.row_mut(0).scaled_add(1.0, &dout);
            }
        }
    }

    fn rotary(&mut self, x: &mut Array2<f64>, offsets: &[usize], dim: usize, theta: f64) {
        turn(x, offsets, 0, (dim, theta), 1.0);
    }

    fn rotary_from(&mut self, x: &mut Array2<f64>, first: usize, dim: usize, theta: f64) {
        let offsets = [0, x.nrows()];
        turn(x, &offsets, first, (dim, theta), 1.0);
    }

    fn rotary_backward(&mut self, dx: &mut Array2<f64>, offsets: &[usize], dim: usize, theta: f64) {
        turn(dx, offsets, 0, (dim, theta), -1.0);
    }

    fn attention(
        &mut self,
        [q, k, v]: [&Array2<f64>; 3],
        offsets: &[usize],
        heads: Heads,
        mask: Option<Mask>,
        out: &mut Array2<f64>,
        log_sums: &mut Array2<f64>,
    ) {
        *out = Array2::zeros(q.dim());
        *log_sums = Array2::zeros((q.nrows(), heads.query));
        for_each_head(offsets, heads, |rows, query, key_value, head| {
            let (q, k, v) = (
                q.slice(s![rows.0..rows.1, query.0..query.1]),
                key_value.of(k, rows),
                key_value.of(v, rows),
            );
            let (mut p, sums) = probabilities(&q.dot(&k.t()), heads);
            drop_out(&mut p, mask, (rows.0, head));
            out.slice_mut(s![rows.0..rows.1, query.0..query.1]).assign(&p.dot(&v));
            log_sums.slice_mut(s![rows.0..rows.1, head]).assign(&sums);
        });
    }

    fn attention_of_last(
        &mut self,
        [q, k, v]: [&Array2<f64>; 3],
        heads: Heads,
        out: &mut Array2<f64>,
        log_sums: &mut Array2<f64>,
    ) {
        *out = Array2::zeros(q.dim());
        *log_sums = Array2::zeros((q.nrows(), heads.query));
        for_each_head(&[0, k.nrows()], heads, |keys, query, key_value, head| {
            let q = query.of(q, (0, q.nrows()));
            let (p, sums) = probabilities(&q.dot(&key_value.of(k, keys).t()), heads);
            out.slice_mut(s![.., query.0..query.1]).assign(&p.dot(&key_value.of(v, keys)));
            log_sums.column_mut(head).assign(&sums);
        });
    }

    fn attention_backward(
        &mut self,
        [q, k, v]: [&Array2<f64>; 3],
        offsets: &[usize],
        heads: Heads,
        mask: Option<Mask>,
        _out: &Array2<f64>,
        _log_sums: &Array2<f64>,
        dout: &Array2<f64>,
        [dq, dk, dv]: [&mut Array2<f64>; 3],
    ) {
        *dq = Array2::zeros(q.dim());
        *dk = Array2::zeros(k.dim());
        *dv = Array2::zeros(v.dim());
        let scale = 1.0 / (heads.dim as f64).sqrt();
        for_each_head(offsets, heads, |rows, query, key_value, head| {
            let of_query = s![rows.0..rows.1, query.0..query.1];
            let of_key_value = s![rows.0..rows.1, key_value.0..key_value.1];
            let (q, dout) = (q.slice(of_query), dout.slice(of_query));
            let (k, v) = (k.slice(of_key_value), v.slice(of_key_value));
            let (p, _) = probabilities(&q.dot(&k.t()), heads);
            let (mut kept, mut dp) = (p.clone(), dout.dot(&v.t()));
            drop_out(&mut kept, mask, (rows.0, head));
            drop_out(&mut dp, mask, (rows.0, head));
            let mean = (&p * &dp).sum_axis(Axis(1)).insert_axis(Axis(1));
            let ds = &p * &(dp - mean) * scale;
            dq.slice_mut(of_query).assign(&ds.dot(&k));
            dk.slice_mut(of_key_value).scaled_add(1.0, &ds.t().dot(&q));
            dv.slice_mut(of_key_value).scaled_add(1.0, &kept.t().dot(&dout));
        });
    }

    fn swiglu(&mut self, gate: &Array2<f64>, up: &Array2<f64>, out: &mut Array2<f64>) {
        *out = gate.mapv(|gate| gate * sigmoid(gate)) * up;
    }

    fn swiglu_backward(
        &mut self,
        gate: &Array2<f64>,
        up: &Array2<f64>,
        dout: &Array2<f64>,
        dgate: &mut Array2<f64>,
        dup: &mut Array2<f64>,
    ) {
        let slope = |gate: f64| sigmoid(gate) * (1.0 + gate * (1.0 - sigmoid(gate)));
        *dgate = dout * up * gate.mapv(slope);
        *dup = dout * gate.mapv(|gate| gate * sigmoid(gate));
    }

    fn gelu(&mut self, x: &Array2<f64>, out: &mut Array2<f64>) {
        *out = x.mapv(|x| x * normal_cdf(x));
    }

    fn gelu_backward(&mut self, x: &Array2<f64>, dout: &Array2<f64>, dx: &mut Array2<f64>) {
        let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        *dx = dout * x.mapv(|x| normal_cdf(x) + x * density(x));
    }

    fn gelu_tanh(&mut self, x: &Array2<f64>, out: &mut Array2<f64>) {
        *out = x.mapv(|x| 0.5 * x * (1.0 + gelu_angle(x).0.tanh()));
    }

    fn gelu_tanh_backward(&mut self, x: &Array2<f64>, dout: &Array2<f64>, dx: &mut Array2<f64>) {
        let slope = |x: f64| {
            let (angle, slope) = gelu_angle(x);
            let tanh = angle.tanh();
            0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * slope
        };
        *dx = dout * x.mapv(slope);
    }

    fn tanh(&mut self, x: &mut Array2<f64>) {
        x.mapv_inplace(f64::tanh);
    }

    fn tanh_backward(&mut self, out: &Array2<f64>, dx: &mut Array2<f64>) {
        *dx *= &out.mapv(|out| 1.0 - out * out);
    }

    fn dropout(&mut self, x: &mut Array2<f64>, mask: Mask) {
        assert_eq!(x.nrows(), mask.places().len(), "a mask has a place for each row");
        drop_out(x, Some(mask), (0, 0));
    }

    fn add(&mut self, x: &mut Array2<f64>, branch: &Array2<f64>) {
        *x += branch;
    }

    fn copy(&mut self, x: &Array2<f64>, out: &mut Array2<f64>) {
        *out = x.clone();
    }

    fn append(&mut self, x: &Array2<f64>, out: &mut Array2<f64>) {
        if out.is_empty() {
            *out = x.clone();
        } else {
            out.append(Axis(0), x.view()).expect("both have the same columns");
        }
    }

    fn split(&mut self, x: &Array2<f64>, parts: [&mut Array2<f64>; 3]) {
        let width = x.ncols() / parts.len();
        for (at, part) in parts.into_iter().enumerate() {
            *part = x.slice(s![.., at * width..(at + 1) * width]).to_owned();
        }
    }

    fn join(&mut self, parts: [&Array2<f64>; 3], out: &mut Array2<f64>) {
        let views = parts.map(|part| part.view());
        *out = ndarray::concatenate(Axis(1), &views).expect("all have the same rows");
    }

    fn pick(&mut self, x: &Array2<f64>, rows: &[usize], out: &mut Array2<f64>) {
        *out = x.select(Axis(0), rows);
    }

    fn pick_backward(
        &mut self,
        dout: &Array2<f64>,
        rows: &[usize],
        tokens: usize,
        dx: &mut Array2<f64>,
    ) {
        *dx = Array2::zeros((tokens, dout.ncols()));
        for (&row, dout) in rows.iter().zip(dout.rows()) {
            dx.row_mut(row).assign(&dout);
        }
    }

    fn cross_entropy(
        &mut self,
        x: &Array2<f64>,
        projection: Linear<&Array2<f64>>,
        targets: &[Option<u32>],
        nats: &mut Vec<f64>,
    ) {
        let logits = affine(x, projection);
        nats.clear();
        nats.extend(logits.rows().into_iter().zip(targets).map(|(row, target)| {
            target.map_or(0.0, |target| log_sum_exp(row) - row[target as usize])
        }));
    }

    fn cross_entropy_backward(
        &mut self,
        x: &Array2<f64>,
        projection: Linear<&Array2<f64>>,
        targets: &[Option<u32>],
        nats: &mut Vec<f64>,
        dx: Option<&mut Array2<f64>>,
        dprojection: [Option<&mut Array2<f64>>; 2],
    ) {
        self.cross_entropy(x, projection, targets, nats);
        let mut dlogits = affine(x, projection);
        for (mut row, target) in dlogits.rows_mut().into_iter().zip(targets) {
            let Some(target) = target else {
                row.fill(0.0);
                continue;
            };
            let log_sum = log_sum_exp(row.view());
            row.mapv_inplace(|logit| (logit - log_sum).exp());
            row[*target as usize] -= 1.0;
        }
        let dx = dx.map(|dx| (dx, Write::Replace));
        self.linear_backward(x, projection.weight, &dlogits, dx, dprojection);
    }
}

/// `x · wᵀ + b`.
fn affine(x: &Array2<f64>, layer: Linear<&Array2<f64>>) -> Array2<f64> {
    let product = x.dot(&layer.weight.t());
    match layer.bias {
        Some(bias) => product + bias.row(0),
        None => product,
    }
}

fn put(result: Array2<f64>, out: &mut Array2<f64>, write: Write) {
    match write {
        Write::Replace => *out = result,
        Write::Add => *out += &result,
    }
}

/// Multiplies numbers with the factors of a part of the mask, whose row for the first is `first`.
fn drop_out(x: &mut Array2<f64>, mask: Option<Mask>, (first, part): (usize, usize)) {
    let Some(mask) = mask else { return };
    let part = u32::try_from(part).expect("configs hold counts below 2^31");
    for (row, mut values) in (first..).zip(x.rows_mut()) {
        values.iter_mut().zip(mask.factors(part, row)).for_each(|(value, factor)| *value *= factor);
    }
}

/// `Φ(x)`.
fn normal_cdf(x: f64) -> f64 {
    0.5 * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2))
}

/// `u = √(2/π) * (x + 0.044715 * x^3)`, and `du/dx`.
fn gelu_angle(x: f64) -> (f64, f64) {
    let scale = (2.0 / std::f64::consts::PI).sqrt();
    (scale * (x + 0.044_715 * x.powi(3)), scale * (1.0 + 3.0 * 0.044_715 * x * x))
}

/// A row with mean zero and variance one, but for `eps`, and what it was multiplied with.
fn normalized(row: ArrayView1<f64>, eps: f64) -> (Array1<f64>, f64) {
    let n = row.len() as f64;
    let centered = &row - row.sum() / n;
    let scale = 1.0 / (centered.dot(&centered) / n + eps).sqrt();
    (centered * scale, scale)
}

/// `1 / (1 + e^-x)`.
fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn log_sum_exp(row: ArrayView1<f64>) -> f64 {
    let max = row.fold(f64::NEG_INFINITY, |max, &value| max.max(value));
    max + row.fold(0.0, |sum, &value| sum + (value - max).exp()).ln()
}

fn rms_scale(row: ArrayView1<f64>, eps: f64) -> f64 {
    1.0 / (row.dot(&row) / row.len() as f64 + eps).sqrt()
}

/// Columns of one head, from and to.
#[derive(Clone, Copy)]
struct Columns(usize, usize);

impl Columns {
    fn of<'a>(self, x: &'a Array2<f64>, rows: (usize, usize)) -> ndarray::ArrayView2<'a, f64> {
        x.slice(s![rows.0..rows.1, self.0..self.1])
    }
}

/// Calls `each` with the rows of a sequence, the columns of a query head, those of its key head, and its number.
fn for_each_head(
    offsets: &[usize],
    heads: Heads,
    mut each: impl FnMut((usize, usize), Columns, Columns, usize),
) {
    for bounds in offsets.windows(2) {
        for head in 0..heads.query {
            let shared = head * heads.key_value / heads.query;
            let columns = |head: usize| Columns(head * heads.dim, (head + 1) * heads.dim);
            each((bounds[0], bounds[1]), columns(head), columns(shared), head);
        }
    }
}

/// Softmax of unscaled scores over what each row sees, and the logarithm of each denominator.
fn probabilities(scores: &Array2<f64>, heads: Heads) -> (Array2<f64>, Array1<f64>) {
    let scale = 1.0 / (heads.dim as f64).sqrt();
    let seen = |row: usize| match heads.reach {
        // Of a text of which some tokens were read before, the queries are the last.
        Reach::Causal => scores.ncols() - scores.nrows() + row + 1,
        Reach::Bidirectional => scores.ncols(),
    };
    let sums: Array1<f64> = (0..scores.nrows())
        .map(|row| log_sum_exp((&scores.slice(s![row, ..seen(row)]) * scale).view()))
        .collect();
    let p = Array2::from_shape_fn(scores.dim(), |(row, col)| {
        if col < seen(row) { (scores[[row, col]] * scale - sums[row]).exp() } else { 0.0 }
    });
    (p, sums)
}

fn turn(
    x: &mut Array2<f64>,
    offsets: &[usize],
    first: usize,
    (dim, theta): (usize, f64),
    direction: f64,
) {
    let half = dim / 2;
    for bounds in offsets.windows(2) {
        for (position, token) in (first..).zip(bounds[0]..bounds[1]) {
            for pair in 0..half {
                let angle = position as f64 * theta.powf(-2.0 * pair as f64 / dim as f64);
                let (sin, cos) = (direction * angle).sin_cos();
                for head in 0..x.ncols() / dim {
                    let (first, second) = (head * dim + pair, head * dim + pair + half);
                    let (a, b) = (x[[token, first]], x[[token, second]]);
                    x[[token, first]] = a * cos - b * sin;
                    x[[token, second]] = b * cos + a * sin;
                }
            }
        }
    }
}
