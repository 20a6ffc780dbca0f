//! A display of the test's own: a virtual X server whose mouse and keyboard the test controls, and whose pixels it
//! reads.

use std::process::Command;

use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConnectionExt, ImageFormat, InputFocus, KEY_PRESS_EVENT,
    KEY_RELEASE_EVENT, MOTION_NOTIFY_EVENT, MapState, Window,
};
use x11rb::protocol::xtest::{self, ConnectionExt as _};
use x11rb::rust_connection::RustConnection;

use super::process::Process;

/// A running X server. Dropping it ends the process.
pub struct Display {
    _process: Process,
    connection: RustConnection,
    root: Window,
    /// The display's name, for the environment variable `DISPLAY`.
    pub name: String,
}

/// A rectangle of the display, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// The x coordinate of the left edge.
    pub x: i16,
    /// The y coordinate of the upper edge.
    pub y: i16,
    /// The width, in pixels.
    pub width: u16,
    /// The height, in pixels.
    pub height: u16,
}

impl Area {
    /// The centre of the rectangle, as x and y.
    pub fn centre(self) -> (i16, i16) {
        (self.x + (self.width / 2) as i16, self.y + (self.height / 2) as i16)
    }
}

impl Display {
    /// Starts an X server with a screen of this size.
    pub fn start(size: (u16, u16)) -> Display {
        let screen = format!("{}x{}x24", size.0, size.1);
        let arguments = ["-displayfd", "1", "-screen", "0", &screen, "-nolisten", "tcp"];
        let mut process = Process::start("Xvfb", Command::new("Xvfb").args(arguments));
        let number = process.stdout.expect("the display's number", |line| line.parse::<u32>().is_ok());
        let name = format!(":{number}");
        let (connection, screen) = x11rb::connect(Some(&name)).unwrap();
        let root = connection.setup().roots[screen].root;
        assert!(connection.extension_information(xtest::X11_EXTENSION_NAME).unwrap().is_some(), "Xvfb without XTEST");
        Display { _process: process, connection, root, name }
    }

    /// Red, green and blue of each pixel of a rectangle, row by row.
    pub fn pixels(&self, area: Area) -> Vec<[u8; 3]> {
        let Area { x, y, width, height } = area;
        let image = self.connection.get_image(ImageFormat::Z_PIXMAP, self.root, x, y, width, height, !0);
        let image = image.unwrap().reply().unwrap();
        image.data.as_chunks::<4>().0.iter().map(|&[blue, green, red, _]| [red, green, blue]).collect()
    }

    fn input(&self, kind: u8, detail: u8, at: (i16, i16)) {
        self.connection.xtest_fake_input(kind, detail, 0, self.root, at.0, at.1, 0).unwrap().check().unwrap();
    }

    /// Moves the mouse pointer to this position.
    pub fn point(&self, at: (i16, i16)) {
        self.input(MOTION_NOTIFY_EVENT, 0, at);
    }

    /// Presses the left mouse button at this position, without releasing it.
    pub fn hold(&self, at: (i16, i16)) {
        self.point(at);
        self.input(BUTTON_PRESS_EVENT, 1, at);
    }

    /// Releases the left mouse button.
    pub fn release(&self, at: (i16, i16)) {
        self.input(BUTTON_RELEASE_EVENT, 1, at);
    }

    /// Presses and releases the left mouse button at this position.
    pub fn click(&self, at: (i16, i16)) {
        self.hold(at);
        self.release(at);
    }

    /// Presses and releases a key, by its X11 keysym: a lower-case letter's is its ASCII code.
    pub fn key(&self, keysym: u32) {
        let code = self.key_code(keysym);
        self.input(KEY_PRESS_EVENT, code, (0, 0));
        self.input(KEY_RELEASE_EVENT, code, (0, 0));
    }

    /// The largest window that is shown, which is the program's: Wine has others beside it.
    fn window(&self) -> Option<Window> {
        let tree = self.connection.query_tree(self.root).unwrap().reply().unwrap();
        let shown = tree.children.into_iter().filter(|window| {
            let attributes = self.connection.get_window_attributes(*window).unwrap().reply();
            attributes.is_ok_and(|attributes| attributes.map_state == MapState::VIEWABLE)
        });
        let size =
            |window: &Window| self.area(*window).map_or(0, |area| u32::from(area.width) * u32::from(area.height));
        shown.max_by_key(size)
    }

    fn area(&self, window: Window) -> Option<Area> {
        let geometry = self.connection.get_geometry(window).unwrap().reply().ok()?;
        Some(Area { x: geometry.x, y: geometry.y, width: geometry.width, height: geometry.height })
    }

    /// The position and size of the program's window.
    pub fn window_area(&self) -> Option<Area> {
        self.area(self.window()?)
    }

    /// Gives the keyboard focus to the only window, since no window manager does.
    pub fn focus(&self) {
        let window = self.window().expect("no window is shown");
        self.connection.set_input_focus(InputFocus::PARENT, window, 0u32).unwrap().check().unwrap();
    }

    fn key_code(&self, keysym: u32) -> u8 {
        let (least, most) = (self.connection.setup().min_keycode, self.connection.setup().max_keycode);
        let map = self.connection.get_keyboard_mapping(least, most - least + 1).unwrap().reply().unwrap();
        let per_code = usize::from(map.keysyms_per_keycode);
        let index = map.keysyms.chunks(per_code).position(|syms| syms[0] == keysym);
        least + u8::try_from(index.unwrap_or_else(|| panic!("no key for {keysym:#x}"))).unwrap()
    }
}
