//! Weights as combinations of rows.

use rayon::prelude::*;

use crate::tfidf::vectorizer::SparseRow;

/// The rows that span the weights.
pub(super) struct Rows<'a> {
    pub(super) rows: &'a [SparseRow],
    pub(super) num_terms: usize,
    pub(super) columns: usize,
}

/// Weights of every column, with intercepts.
#[derive(Clone)]
pub(super) struct Vector {
    /// How much of each row is in each column, `[rows, columns]`.
    pub(super) coefficients: Vec<f64>,
    /// Product of each row with each column's weights, `[rows, columns]`.
    products: Vec<f64>,
    /// By column.
    pub(super) intercepts: Vec<f64>,
}

impl Rows<'_> {
    pub(super) fn zero(&self) -> Vector {
        let zeros = vec![0.0; self.rows.len() * self.columns];
        Vector { coefficients: zeros.clone(), products: zeros, intercepts: vec![0.0; self.columns] }
    }

    /// The vector of these coefficients: two passes over the rows for each column.
    pub(super) fn vector(&self, coefficients: Vec<f64>, intercepts: Vec<f64>) -> Vector {
        let by_column: Vec<Vec<f64>> = (0..self.columns)
            .into_par_iter()
            .map(|column| {
                let weights = self.combine(&coefficients, column);
                self.rows.iter().map(|row| dot_row(row, &weights)).collect()
            })
            .collect();
        let mut products = Vec::with_capacity(coefficients.len());
        for row in 0..self.rows.len() {
            products.extend(by_column.iter().map(|column| column[row]));
        }
        Vector { coefficients, products, intercepts }
    }

    /// Weights of one column, by term.
    pub(super) fn combine(&self, coefficients: &[f64], column: usize) -> Vec<f64> {
        let mut weights = vec![0.0; self.num_terms];
        for (row, coefficients) in self.rows.iter().zip(coefficients.chunks_exact(self.columns)) {
            for (term, weight) in row {
                weights[*term as usize] += coefficients[column] * weight;
            }
        }
        weights
    }
}

/// Product of a row with weights by term.
pub(super) fn dot_row(row: &SparseRow, weights: &[f64]) -> f64 {
    row.iter().map(|(term, weight)| weight * weights[*term as usize]).sum()
}

impl Vector {
    /// Margin of each row and column, `[rows, columns]`.
    pub(super) fn margins(&self) -> Vec<f64> {
        let intercepts = self.intercepts.iter().cycle();
        self.products
            .iter()
            .zip(intercepts)
            .map(|(product, intercept)| product + intercept)
            .collect()
    }

    /// Inner product of the weights alone.
    pub(super) fn dot_weights(&self, other: &Self) -> f64 {
        self.coefficients.iter().zip(&other.products).map(|(a, b)| a * b).sum()
    }

    /// Inner product of weights and intercepts.
    pub(super) fn dot(&self, other: &Self) -> f64 {
        let intercepts: f64 =
            self.intercepts.iter().zip(&other.intercepts).map(|(a, b)| a * b).sum();
        self.dot_weights(other) + intercepts
    }

    /// `self += factor * other`.
    pub(super) fn add(&mut self, factor: f64, other: &Self) {
        let add = |to: &mut Vec<f64>, from: &Vec<f64>| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
        };
        add(&mut self.coefficients, &other.coefficients);
        add(&mut self.products, &other.products);
        add(&mut self.intercepts, &other.intercepts);
    }

    /// `self *= factor`.
    pub(super) fn scale(&mut self, factor: f64) {
        let all = [&mut self.coefficients, &mut self.products, &mut self.intercepts];
        all.into_iter().flatten().for_each(|value| *value *= factor);
    }
}
