//! Functions that run with the widest vector instructions of the processor they find.

use pulp::Simd;

/// A function that is compiled once for each kind of vector instructions, and runs with the widest that the
/// processor has. What it calls must be `#[inline(always)]` to be compiled so, too; with `<S: Simd>` after its name, it
/// can tell that by `S` which instructions they are.
macro_rules! vectorized {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$simd:ident: Simd $(, const $n:ident: usize)*>(
        $($argument:ident: $type:ty),* $(,)?
    ) $body:block) => {
        $(#[$meta])*
        $vis fn $name<$(const $n: usize),*>($($argument: $type),*) {
            struct Call<$(const $n: usize,)* A>(A);

            impl<$(const $n: usize),*> pulp::WithSimd for Call<$($n,)* ($($type,)*)> {
                type Output = ();

                #[inline(always)]
                fn with_simd<$simd: pulp::Simd>(self, _: $simd) {
                    let ($($argument,)*) = self.0;
                    $body
                }
            }

            pulp::Arch::new().dispatch(Call::<$($n,)* _>(($($argument,)*)));
        }
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<$(const $n:ident: usize),+>)? ($($arguments:tt)*) $body:block) => {
        vectorized! { $(#[$meta])* $vis fn $name<Any: Simd $($(, const $n: usize)+)?>($($arguments)*) $body }
    };
}

pub(crate) use vectorized;

/// `a * b + c`, rounded once if there is an instruction for both; if not, twice, as to round once would take a call of a
/// function.
#[inline(always)]
pub fn mul_add<S: Simd>(a: f32, b: f32, c: f32) -> f32 {
    match S::IS_SCALAR {
        true => a * b + c,
        false => a.mul_add(b, c),
    }
}
