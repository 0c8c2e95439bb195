//! A table of host or domain names: `example.org` is that name, `.example.org` everything below it.

use std::collections::HashMap;

/// Names in lower case, each with the index of its entry; the longest match wins.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Only the configuration's own names are put in, so nobody can choose them to collide.
    entries: HashMap<Box<[u8]>, usize, foldhash::fast::RandomState>,
}

impl Names {
    /// The index of the entry that already has this name, if any; else the name is added.
    pub fn insert(&mut self, name: &str, index: usize) -> Result<(), usize> {
        match self.entries.get(name.as_bytes()) {
            Some(earlier) => Err(*earlier),
            None => {
                self.entries.insert(name.as_bytes().into(), index);
                Ok(())
            }
        }
    }

    /// The entry for `name`, which is in lower case.
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        if self.entries.is_empty() {
            return None;
        }
        self.entries.get(name).copied().or_else(|| {
            memchr::memchr_iter(b'.', name).find_map(|dot| self.entries.get(&name[dot..]).copied())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_before_suffix_and_longest_suffix_first() {
        let mut names = Names::default();
        for (index, name) in [".example.org", "example.org", ".lab.example.org"].iter().enumerate()
        {
            names.insert(name, index).expect("a new name");
        }
        assert_eq!(names.insert("example.org", 9), Err(1));
        let find = |name: &str| names.find(name.as_bytes());
        assert_eq!(find("example.org"), Some(1));
        assert_eq!(find("a.example.org"), Some(0));
        assert_eq!(find("a.b.lab.example.org"), Some(2));
        assert_eq!(find("lab.example.org"), Some(0));
        assert_eq!(find("badexample.org"), None);
        assert_eq!(find("org"), None);
    }
}
