//! The OpenGL calls. They are unsafe because each acts on the context that is current in its thread.

use glow::{Context, HasContext, PixelUnpackData};

use super::{Conversion, PresentError};
use crate::picture::{Picture, PictureFormat, Transfer};
use crate::tone;

/// One triangle that covers the viewport; texture coordinates start at the top left.
const VERTEX: &str = "
out vec2 at;
void main() {
    vec2 corner = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
    at = vec2(corner.x + 1.0, 1.0 - corner.y) / 2.0;
    gl_Position = vec4(corner, 0.0, 1.0);
}";

/// The fragment shader. `FILTERED` and `TONE_MAPPED` are defined for the programs that need these parts: a software renderer
/// compiles a program as a whole when it is first drawn with, and keeps megabytes for what it never runs.
///
/// With `FILTERED` luma is filtered by scale: averaged for a picture that is drawn smaller, interpolated by a Catmull-Rom spline for one that is
/// drawn larger, which keeps edges sharper than bilinear interpolation; at its own size each sample is a pixel. On a software
/// renderer that would take time that the codecs need: there it is bilinear, whatever the size.
const FRAGMENT: &str = "
in vec2 at;
out vec4 colour;
uniform sampler2D luma;
uniform sampler2D cb;
uniform sampler2D cr;
uniform vec3 offset;
uniform mat3 columns;

#ifdef FILTERED
uniform vec2 size;
uniform float scale;

float smaller() {
    vec2 quarter = 0.25 / (size * scale);
    return (texture(luma, at + quarter).r + texture(luma, at - quarter).r
        + texture(luma, at + vec2(quarter.x, -quarter.y)).r + texture(luma, at + vec2(-quarter.x, quarter.y)).r) / 4.0;
}

float larger() {
    vec2 sample_at = at * size;
    vec2 centre = floor(sample_at - 0.5) + 0.5;
    vec2 f = sample_at - centre;
    vec2 w0 = f * (-0.5 + f * (1.0 - 0.5 * f));
    vec2 w1 = 1.0 + f * f * (-2.5 + 1.5 * f);
    vec2 w2 = f * (0.5 + f * (2.0 - 1.5 * f));
    vec2 w3 = f * f * (-0.5 + 0.5 * f);
    vec2 w12 = w1 + w2;
    vec2 before = (centre - 1.0) / size;
    vec2 middle = (centre + w2 / w12) / size;
    vec2 behind = (centre + 2.0) / size;
    // The four corners weigh next to nothing: the rest is scaled up for them.
    float sum = texture(luma, vec2(middle.x, before.y)).r * w12.x * w0.y
        + texture(luma, vec2(before.x, middle.y)).r * w0.x * w12.y
        + texture(luma, middle).r * w12.x * w12.y
        + texture(luma, vec2(behind.x, middle.y)).r * w3.x * w12.y
        + texture(luma, vec2(middle.x, behind.y)).r * w12.x * w3.y;
    return sum / (w12.x * w0.y + w0.x * w12.y + w12.x * w12.y + w3.x * w12.y + w12.x * w3.y);
}
#endif

#ifdef TONE_MAPPED
uniform int transfer;
uniform float white;
uniform float peak;
uniform float knee;
uniform mat3 to_bt709;

// As in the module `tone`, which is tested.
vec3 tone_mapped(vec3 value) {
    vec3 light;
    if (transfer == 1) {
        vec3 root = pow(value, vec3(32.0 / 2523.0));
        light = pow(max(root - 0.8359375, 0.0) / (18.851563 - 18.6875 * root), vec3(8192.0 / 1305.0)) * 10000.0 / white;
    } else {
        vec3 low = value * value / 3.0;
        vec3 high = (exp((value - 0.5599107) / 0.17883277) + 0.28466892) / 12.0;
        vec3 scene = mix(low, high, step(0.5, value));
        light = scene * pow(max(dot(scene, vec3(0.2627, 0.6780, 0.0593)), 1e-6), 0.2) * peak / white;
    }
    vec3 bt709 = max(to_bt709 * light, 0.0);
    float brightest = max(max(bt709.r, bt709.g), bt709.b);
    float over = (brightest - knee) / (1.0 - knee);
    float scaled = brightest > knee ? (knee + (1.0 - knee) * over / (1.0 + over)) / brightest : 1.0;
    return pow(bt709 * scaled, vec3(1.0 / 2.2));
}
#endif

void main() {
#ifdef FILTERED
    float y = scale < 0.99 ? smaller() : scale > 1.01 ? larger() : texture(luma, at).r;
#else
    float y = texture(luma, at).r;
#endif
    vec3 rgb = columns * (vec3(y, texture(cb, at).r, texture(cr, at).r) - offset);
    rgb = clamp(rgb, 0.0, 1.0);
#ifdef TONE_MAPPED
    rgb = tone_mapped(rgb);
#endif
    colour = vec4(rgb, 1.0);
}";

/// Parts of the names of OpenGL renderers that run on the processor.
const SOFTWARE: [&str; 4] = ["llvmpipe", "softpipe", "SwiftShader", "GDI Generic"];

/// The longest side of a texture that every OpenGL 3 has (OpenGL ES 3.0 table 6.28), in samples.
const LEAST_TEXTURE: u32 = 2048;

const PLANES: [&str; 3] = ["luma", "cb", "cr"];

/// Draws pictures (see the module). It belongs to one OpenGL context, which must be passed to every call.
#[derive(Debug)]
pub struct PicturePainter {
    /// Draws standard pictures.
    standard: glow::Program,
    /// Draws PQ and HLG pictures.
    tone_mapped: glow::Program,
    /// Core profiles require one for drawing; it stays empty.
    vertex_array: glow::VertexArray,
    planes: [glow::Texture; 3],
    /// The longest side of a texture, in samples.
    longest_side: u32,
    /// Format of the picture that was uploaded last.
    format: Option<PictureFormat>,
}

impl PicturePainter {
    /// Compiles the shaders and creates the textures.
    ///
    /// # Errors
    /// [`PresentError`] where the driver is too old or refuses an object.
    pub fn new(gl: &Context) -> Result<PicturePainter, PresentError> {
        let version = gl.version();
        if version.major < 3 {
            return Err(PresentError::TooOld(format!("{}.{}", version.major, version.minor)));
        }
        let header = if version.is_embedded { "#version 300 es\nprecision highp float;\n" } else { "#version 140\n" };
        // SAFETY: the context is current (see the module); every object made is of this context.
        unsafe {
            let renderer = gl.get_parameter_string(glow::RENDERER);
            let is_software = SOFTWARE.iter().any(|name| renderer.contains(name));
            let header = format!("{header}{}", if is_software { "" } else { "#define FILTERED\n" });
            let standard = program(gl, &header)?;
            let tone_mapped = program(gl, &format!("{header}#define TONE_MAPPED\n"))?;
            let texture = || gl.create_texture().map_err(PresentError::Driver);
            let planes = [texture()?, texture()?, texture()?];
            let vertex_array = gl.create_vertex_array().map_err(PresentError::Driver)?;
            let longest_side = u32::try_from(gl.get_parameter_i32(glow::MAX_TEXTURE_SIZE)).unwrap_or(0);
            let longest_side = longest_side.max(LEAST_TEXTURE);
            Ok(PicturePainter { standard, tone_mapped, vertex_array, planes, longest_side, format: None })
        }
    }

    /// Copies a picture's planes to the textures. A picture that is larger than the largest texture is scaled down first; without
    /// memory for that, the last picture stays.
    pub fn upload(&mut self, gl: &Context, picture: &Picture) {
        let Ok(picture) = picture.within(self.longest_side) else { return };
        let format = picture.format();
        let is_new = self.format.is_none_or(|known| (known.width, known.height) != (format.width, format.height));
        for index in 0..3 {
            let (width, height) = format.plane_size(index);
            let (width, height) = (width as i32, height as i32);
            let (samples, stride) = picture.plane(index);
            // SAFETY: the context is current. OpenGL reads `height` rows of `width` bytes, `stride` bytes apart: that is
            // what `Picture::plane` promises the slice to hold, up to the last sample of the last row.
            unsafe {
                gl.active_texture(glow::TEXTURE0);
                gl.bind_texture(glow::TEXTURE_2D, Some(self.planes[index]));
                gl.pixel_store_i32(glow::UNPACK_ALIGNMENT, 1);
                gl.pixel_store_i32(glow::UNPACK_ROW_LENGTH, stride as i32);
                let samples = PixelUnpackData::Slice(Some(samples));
                let (target, layout, kind) = (glow::TEXTURE_2D, glow::RED, glow::UNSIGNED_BYTE);
                if is_new {
                    for (name, value) in [
                        (glow::TEXTURE_MIN_FILTER, glow::LINEAR),
                        (glow::TEXTURE_MAG_FILTER, glow::LINEAR),
                        (glow::TEXTURE_WRAP_S, glow::CLAMP_TO_EDGE),
                        (glow::TEXTURE_WRAP_T, glow::CLAMP_TO_EDGE),
                    ] {
                        gl.tex_parameter_i32(target, name, value as i32);
                    }
                    gl.tex_image_2d(target, 0, glow::R8 as i32, width, height, 0, layout, kind, samples);
                } else {
                    gl.tex_sub_image_2d(target, 0, 0, 0, width, height, layout, kind, samples);
                }
                // The defaults, which other users of the context rely on.
                gl.pixel_store_i32(glow::UNPACK_ROW_LENGTH, 0);
                gl.bind_texture(glow::TEXTURE_2D, None);
            }
        }
        self.format = Some(format);
    }

    /// Fills the viewport with the picture that was uploaded last; does nothing before the first. `scale`: pixels of the screen
    /// per pixel of the picture, each way.
    pub fn draw(&self, gl: &Context, scale: f32) {
        let Some(format) = self.format else { return };
        let conversion = Conversion::of(format.colour);
        // SAFETY: the context is current, and all objects are of this context.
        unsafe {
            let program = match format.colour.transfer {
                Transfer::Standard => self.standard,
                Transfer::Pq | Transfer::Hlg => self.tone_mapped,
            };
            gl.use_program(Some(program));
            // `None` for what this program does not have: OpenGL ignores values for it.
            let uniform = |name| gl.get_uniform_location(program, name);
            gl.uniform_3_f32_slice(uniform("offset").as_ref(), &conversion.offset);
            gl.uniform_matrix_3_f32_slice(uniform("columns").as_ref(), false, &conversion.flat());
            gl.uniform_2_f32(uniform("size").as_ref(), format.width as f32, format.height as f32);
            gl.uniform_1_f32(uniform("scale").as_ref(), scale);
            let transfer = match format.colour.transfer {
                Transfer::Standard => 0,
                Transfer::Pq => 1,
                Transfer::Hlg => 2,
            };
            gl.uniform_1_i32(uniform("transfer").as_ref(), transfer);
            gl.uniform_1_f32(uniform("white").as_ref(), tone::WHITE);
            gl.uniform_1_f32(uniform("peak").as_ref(), tone::HLG_PEAK);
            gl.uniform_1_f32(uniform("knee").as_ref(), tone::KNEE);
            // In column order, as OpenGL takes it.
            let [a, b, c] = tone::TO_BT709;
            let columns = [a[0], b[0], c[0], a[1], b[1], c[1], a[2], b[2], c[2]];
            gl.uniform_matrix_3_f32_slice(uniform("to_bt709").as_ref(), false, &columns);
            for (unit, plane) in (glow::TEXTURE0..).zip(self.planes) {
                gl.active_texture(unit);
                gl.bind_texture(glow::TEXTURE_2D, Some(plane));
            }
            gl.disable(glow::BLEND);
            gl.bind_vertex_array(Some(self.vertex_array));
            gl.draw_arrays(glow::TRIANGLES, 0, 3);
            gl.bind_vertex_array(None);
            gl.active_texture(glow::TEXTURE0);
        }
    }

    /// Deletes all OpenGL objects of this painter.
    pub fn destroy(self, gl: &Context) {
        // SAFETY: the context is current, all objects are of this context, and `self` is gone afterwards.
        unsafe {
            gl.delete_program(self.standard);
            gl.delete_program(self.tone_mapped);
            gl.delete_vertex_array(self.vertex_array);
            for plane in self.planes {
                gl.delete_texture(plane);
            }
        }
    }
}

/// Compiles the two shaders below `header`, and sets which plane is in which texture unit.
///
/// # Safety
/// `gl` must be current.
unsafe fn program(gl: &Context, header: &str) -> Result<glow::Program, PresentError> {
    // SAFETY: the context is current; every object made is of this context.
    unsafe {
        let program = gl.create_program().map_err(PresentError::Driver)?;
        for (kind, source) in [(glow::VERTEX_SHADER, VERTEX), (glow::FRAGMENT_SHADER, FRAGMENT)] {
            let shader = gl.create_shader(kind).map_err(PresentError::Driver)?;
            gl.shader_source(shader, &format!("{header}{source}"));
            gl.compile_shader(shader);
            if !gl.get_shader_compile_status(shader) {
                return Err(PresentError::Driver(gl.get_shader_info_log(shader)));
            }
            gl.attach_shader(program, shader);
            // OpenGL deletes it with the program that it is attached to.
            gl.delete_shader(shader);
        }
        gl.link_program(program);
        if !gl.get_program_link_status(program) {
            return Err(PresentError::Driver(gl.get_program_info_log(program)));
        }
        gl.use_program(Some(program));
        for (unit, name) in (0..).zip(PLANES) {
            gl.uniform_1_i32(gl.get_uniform_location(program, name).as_ref(), unit);
        }
        Ok(program)
    }
}
