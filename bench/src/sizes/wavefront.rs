//! How much faster so many processors code a picture than one, with H.265's wavefront (ITU-T H.265, 9.3.1).
//!
//! A row of coding tree units may be coded beside the one above it, two units behind. So many rows at once are at work as there
//! are processors. This is the bound by the order of the units alone: that they take different times makes a real encoder slower.

/// The grid of coding tree units of a picture.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    pub columns: u32,
    pub rows: u32,
}

/// How far, in units, a row stays behind the one above it.
const LAG: u32 = 2;

impl Grid {
    /// The grid of a picture of this size in samples, with units of `unit` samples each way.
    pub fn of((width, height): (u32, u32), unit: u32) -> Grid {
        Grid { columns: width.div_ceil(unit), rows: height.div_ceil(unit) }
    }

    /// The time of one processor by that of so many.
    pub fn speed_up(self, processors: u32) -> f64 {
        let mut begins: Vec<u32> = Vec::new();
        for row in 0..self.rows as usize {
            let above = row.checked_sub(1).map_or(0, |above| begins[above] + LAG.min(self.columns));
            // The processor that coded this row is free then.
            let free = row.checked_sub(processors.max(1) as usize).map_or(0, |own| begins[own] + self.columns);
            begins.push(above.max(free));
        }
        let end = begins.last().map_or(1, |begin| begin + self.columns);
        f64::from(self.columns * self.rows) / f64::from(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_processor_is_no_faster_and_many_are_bound_by_the_lag() {
        let grid = Grid::of((1920, 1080), 16);
        assert_eq!((grid.columns, grid.rows), (120, 68));
        assert!((grid.speed_up(1) - 1.0).abs() < 1e-9);
        // 34 rows of each of two, the second of which begins and ends two units later.
        assert!((grid.speed_up(2) - 8160.0 / 4082.0).abs() < 1e-9, "{}", grid.speed_up(2));
        assert!((grid.speed_up(1000) - 8160.0 / f64::from(120 + 2 * 67)).abs() < 1e-9, "{}", grid.speed_up(1000));
    }

    #[test]
    fn more_processors_are_never_slower() {
        for size in [(320, 180), (1280, 720), (3840, 2160), (16, 8192)] {
            let speeds: Vec<f64> = (1..20).map(|count| Grid::of(size, 32).speed_up(count)).collect();
            assert!(speeds.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9), "{size:?} {speeds:?}");
        }
    }
}
