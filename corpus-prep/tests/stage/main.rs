//! The whole stage on tiny inputs.

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod crawls;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod readers;
#[cfg(test)]
mod wikis;
