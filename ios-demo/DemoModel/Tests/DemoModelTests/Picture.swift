import Foundation
import Twinpath

@testable import DemoModel

/// The screen as a picture, of the same model and with the same places as on a device: put into the folder that
/// `TWINPATH_DEMO_PICTURES` names.
struct Picture {
    private let colours: Palette
    private let language: Language
    private var svg = ""
    private var y = 0.0

    private static let width = 390.0
    private static let margin = 16.0
    private static let inner = width - 2 * margin

    @MainActor static func draw(_ model: DemoViewModel) throws {
        guard let folder = ProcessInfo.processInfo.environment["TWINPATH_DEMO_PICTURES"] else { return }
        for (name, palette) in [("screen", Palette.light), ("screen-dark", .dark)] {
            var picture = Picture(colours: palette, language: try Texts.language("en"))
            picture.screen(model)
            try picture.whole.write(toFile: "\(folder)/\(name).svg", atomically: true, encoding: .utf8)
        }
    }

    private var whole: String {
        let size = "\(Int(Self.width)) \(Int(y))"
        return """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(size)" width="\(Int(Self.width))" \
            font-family="system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif">
            <rect width="100%" height="100%" fill="\(hex(colours.page))"/>
            \(svg)</svg>

            """
    }

    @MainActor private mutating func screen(_ model: DemoViewModel) {
        words(language.say(.title), x: Self.width / 2, at: 34, size: 17, bold: true, anchor: "middle")
        y = 52
        card(132) { picture, top in
            // Where it ran is nobody's concern.
            picture.row(top, .server, "gateway.example.com:443")
            picture.row(top + 44, .service, picture.language.say(model.service.key))
            let stop = picture.language.say(model.isActive ? .stop : .start)
            picture.words(stop, x: Self.width / 2, at: top + 115, size: 16, bold: true, colour: picture.colours.alarm, anchor: "middle")
        }
        let protection = model.protectionPhrase.map(language.say) ?? ""
        let mode = lines(model.modePhrase.map(language.say) ?? "")
        card(82 + 18 * Double(mode.count)) { picture, top in
            picture.words(picture.language.say(model.statePhrase), at: top + 26, size: 15, bold: true)
            let tint = model.isProtected ? picture.colours.good : picture.colours.alarm
            picture.words(protection, at: top + 48, size: 14, colour: tint)
            for (index, line) in mode.enumerated() {
                picture.words(line, at: top + 70 + 18 * Double(index), size: 13, colour: picture.colours.soft)
            }
            let delays = model.delayPhrase.map(picture.language.say) ?? ""
            picture.words(delays, at: top + 70 + 18 * Double(mode.count), size: 13, colour: picture.colours.soft)
        }
        card(276) { $0.chart(model, top: $1) }
        card(88) { picture, top in
            picture.row(top, .budget, picture.language.say(model.budgetChoice), "−\u{a0}\u{a0}+")
            picture.words(picture.language.say(model.budgetPhrase), at: top + 58, size: 13, colour: picture.colours.soft)
            picture.bar(top + 70, share: model.budgetShare)
        }
        card(44) { $0.row($1, .fault, $0.language.say(model.fault.key)) }
        let entries = model.log.entries.suffix(10).reversed().map { lines(language.say($0.phrase), 56) }
        card(48 + 17 * Double(entries.joined().count)) { picture, top in
            picture.row(top, .log, picture.language.say(.share))
            for (index, line) in entries.joined().enumerated() {
                picture.words(line, at: top + 54 + 17 * Double(index), size: 12, colour: picture.colours.soft)
            }
        }
    }

    @MainActor private mutating func chart(_ model: DemoViewModel, top: Double) {
        let (x, height) = (Self.margin + 12, 190.0)
        let width = Self.inner - 24
        words(language.say(.chart), at: top + 26, size: 15, bold: true)
        let layout = ChartLayout(model.chart, width: width, height: height)
        for box in layout.boxes {
            rectangle(x + box.x, top + 38 + box.y, box.width + 0.05, box.height, colours.colour(of: box.role))
        }
        rectangle(x, top + 38 + height, width, 1, colours.soft)
        for line in layout.lines {
            let tint = colours.colour(of: line.marker.kind)
            let at = x + line.x
            svg += "<path d='M\(round(at)) \(top + 38)V\(top + 38 + height)' stroke='\(hex(tint))' stroke-dasharray='2 3'/>\n"
            guard let wordsY = line.wordsY else { continue }
            words(
                language.say(line.marker.phrase), x: at + (line.wordsAreLeft ? -4 : 4), at: top + 38 + wordsY,
                size: 11, colour: tint, anchor: line.wordsAreLeft ? "end" : "start")
        }
        words(language.say(.minuteAgo), at: top + 243, size: 11, colour: colours.soft)
        words(language.say(.now), x: x + width, at: top + 243, size: 11, colour: colours.soft, anchor: "end")
        var place = x
        for role in Role.allCases {
            rectangle(place, top + 254, 10, 10, colours.colour(of: role))
            words(language.say(role.name), x: place + 15, at: top + 263, size: 12)
            place += 65
        }
        words(language.say(model.ratePhrase), x: x + width, at: top + 263, size: 12, colour: colours.soft, anchor: "end")
    }

    private mutating func card(_ height: Double, _ fill: (inout Picture, Double) -> Void) {
        svg += "<rect x='\(Self.margin)' y='\(y)' width='\(Self.inner)' height='\(height)' rx='12' fill='\(hex(colours.card))'/>\n"
        fill(&self, y)
        y += height + 12
    }

    private mutating func row(_ top: Double, _ name: Key, _ value: String, _ control: String = "") {
        words(language.say(name), at: top + 28, size: 15)
        let right = Self.width - Self.margin - 12
        words(control, x: right, at: top + 28, size: 17, colour: colours.wifi, anchor: "end")
        words(value, x: right - (control.isEmpty ? 0 : 52), at: top + 28, size: 15, colour: colours.soft, anchor: "end")
    }

    private mutating func bar(_ top: Double, share: Double) {
        svg += "<rect x='28' y='\(top)' width='\(Self.inner - 24)' height='5' rx='2.5' fill='\(hex(colours.soft))' opacity='.3'/>\n"
        svg += "<rect x='28' y='\(top)' width='\(round((Self.inner - 24) * share))' height='5' rx='2.5' fill='\(hex(colours.cellular))'/>\n"
    }

    private mutating func rectangle(_ x: Double, _ y: Double, _ width: Double, _ height: Double, _ colour: Colour) {
        svg += "<rect x='\(short(x))' y='\(short(y))' width='\(short(width))' height='\(short(height))' fill='\(hex(colour))'/>\n"
    }

    private mutating func words(
        _ text: String, x: Double = 28, at y: Double, size: Int, bold: Bool = false, colour: Colour? = nil,
        anchor: String = "start"
    ) {
        guard !text.isEmpty else { return }
        let safe = text.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
        svg += "<text x='\(short(x))' y='\(short(y))' font-size='\(size)' fill='\(hex(colour ?? colours.text))' "
        svg += "text-anchor='\(anchor)'\(bold ? " font-weight='600'" : "")>\(safe)</text>\n"
    }

    /// A text in lines of so many letters.
    private func lines(_ text: String, _ letters: Int = 50) -> [String] {
        text.split(separator: " ").reduce(into: [String]()) { lines, word in
            if let last = lines.last, last.count + word.count < letters {
                lines[lines.count - 1] += " " + word
            } else {
                lines.append(String(word))
            }
        }
    }

    private func short(_ number: Double) -> String {
        number.formatted(.number.precision(.fractionLength(0...2)).grouping(.never).locale(Locale(identifier: "en_US_POSIX")))
    }

    private func hex(_ colour: Colour) -> String {
        let digits = String(colour.rgb, radix: 16)
        return "#" + String(repeating: "0", count: 6 - digits.count) + digits
    }
}
