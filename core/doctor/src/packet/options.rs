//! TCP options, one by one (RFC 9293 §3.1).

/// A piece of a list of options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A byte that only fills.
    Nop,
    /// An option, with all of its data.
    Option {
        /// Its number.
        kind: u8,
        /// What follows its length.
        data: &'a [u8],
    },
    /// An option of which the end is not there: the list was cut, or its length is a lie.
    Cut {
        /// Its number.
        kind: u8,
        /// What is there of its data.
        data: &'a [u8],
    },
    /// An option with an impossible length. Nothing after it can be understood.
    Broken {
        /// Its number.
        kind: u8,
    },
}

/// The options in `bytes`, up to the end of the list. Every byte is looked at once.
pub fn options(bytes: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (&kind, after) = rest.split_first()?;
        rest = after;
        match kind {
            // The end of the list; what follows is padding.
            0 => {
                rest = &[];
                None
            }
            1 => Some(Piece::Nop),
            _ => {
                let Some((&length, data)) = after.split_first() else {
                    return Some(Piece::Cut { kind, data: &[] });
                };
                let Some(length) = usize::from(length).checked_sub(2) else {
                    rest = &[];
                    return Some(Piece::Broken { kind });
                };
                match data.split_at_checked(length) {
                    Some((data, after)) => {
                        rest = after;
                        Some(Piece::Option { kind, data })
                    }
                    None => {
                        rest = &[];
                        Some(Piece::Cut { kind, data })
                    }
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_walked_to_the_end_of_the_list() {
        let list = [1, 2, 4, 5, 180, 30, 4, 1, 2, 0, 9, 9];
        let pieces: Vec<_> = options(&list).collect();
        let of = |kind, data| Piece::Option { kind, data };
        assert_eq!(pieces, [Piece::Nop, of(2, &[5, 180]), of(30, &[1, 2])]);
    }

    #[test]
    fn what_is_cut_or_broken_is_said() {
        let cut = |kind, data| vec![Piece::Cut { kind, data }];
        assert_eq!(options(&[30]).collect::<Vec<_>>(), cut(30, &[]));
        assert_eq!(options(&[30, 12, 1]).collect::<Vec<_>>(), cut(30, &[1]));
        let broken = vec![Piece::Broken { kind: 30 }];
        assert_eq!(options(&[30, 1, 30, 4]).collect::<Vec<_>>(), broken);
        assert_eq!(options(&[30, 0]).collect::<Vec<_>>(), broken);
    }
}
