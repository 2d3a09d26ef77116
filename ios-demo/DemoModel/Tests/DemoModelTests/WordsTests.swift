import Foundation
import Twinpath
import XCTest

@testable import DemoModel

/// The app's texts, from its own files.
enum Texts {
    static func file(_ language: String, _ name: String = "Localizable") throws -> [String: String] {
        let app = URL(filePath: #filePath).appending(path: "../../../../App").standardized
        let text = try String(contentsOf: app.appending(path: "\(language).lproj/\(name).strings"), encoding: .utf8)
        var texts: [String: String] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix("/*") {
            let match = try XCTUnwrap(line.wholeMatch(of: /"([^"]+)" = "([^"]+)";/), "not a text: \(line)")
            XCTAssertNil(texts.updateValue(String(match.2), forKey: String(match.1)), "twice: \(match.1)")
        }
        return texts
    }

    static func language(_ name: String) throws -> Language {
        let texts = try file(name)
        return Language(Locale(identifier: name)) { texts[$0] ?? "?\($0)?" }
    }
}

final class WordsTests: XCTestCase {
    func testBothLanguagesHaveAllTextsWithTheSamePlaces() throws {
        let (english, french) = (try Texts.file("en"), try Texts.file("fr"))
        XCTAssertEqual(Set(english.keys), Set(Key.allCases.map(\.rawValue)))
        XCTAssertEqual(Set(french.keys), Set(english.keys))
        for (key, text) in english {
            func places(_ text: String) -> [Substring] { text.matches(of: /%\d\$@/).map { $0.output }.sorted() }
            XCTAssertEqual(places(text), places(french[key] ?? ""), key)
            XCTAssertFalse(text.replacing(/%\d\$@/, with: "").contains("%"), key)
        }
        XCTAssertEqual(Set(try Texts.file("en", "InfoPlist").keys), Set(try Texts.file("fr", "InfoPlist").keys))
    }

    func testAPhraseIsSaidAsTheLanguageHasItAndItsArgumentsAreNotLookedInto() throws {
        let phrase = Phrase(.modeBecause, .phrase(Phrase(.delays, .number(1234.6, digits: 0), .number(0.5, digits: 1))), .text("%1$@"))
        XCTAssertEqual(try Texts.language("en").say(phrase), "Answer after 1,235 ms, worst 0.5 ms: %1$@")
        let french = try Texts.language("fr").say(phrase)
        XCTAssertTrue(french.hasSuffix("0,5 ms : %1$@"), french)
    }

    func testEveryKindOfErrorHasItsText() throws {
        let keys = TwinpathError.Kind.allCases.map(\.key)
        XCTAssertEqual(Set(keys).count, keys.count)
        for key in keys { XCTAssertTrue(key.rawValue.hasPrefix("error."), key.rawValue) }
    }

    func testServersAreToldFromGatewaysAndFromWhatIsNeither() {
        XCTAssertEqual(Target(" https://example.com/file "), .url("https://example.com/file"))
        XCTAssertEqual(Target("HTTP://example.com"), .url("HTTP://example.com"))
        XCTAssertEqual(Target("gateway.example.com:443"), .gateway(host: "gateway.example.com", port: 443))
        XCTAssertEqual(Target("[2001:db8::1]:443"), .gateway(host: "[2001:db8::1]", port: 443))
        for wrong in ["", "example.com", "example.com:0", "example.com:70000", "2001:db8::1:443", "ftp://a/b", "https://", "a b:1"] {
            XCTAssertNil(Target(wrong), wrong)
        }
    }

    func testTheLogKeepsTheNewestAndTellsNoErrorTexts() throws {
        var log = EventLog()
        for number in 0..<1000 { log.add(Phrase(.logGoingAway, .number(Double(number), digits: 0)), of: .echo, at: .zero) }
        log.add(Phrase(TwinpathEvent.closed(error: "connection to 192.0.2.1 refused")), of: .stream, at: .seconds(2))
        XCTAssertEqual(log.entries.count, 500)
        let text = log.text(in: try Texts.language("en"))
        XCTAssertTrue(text.hasPrefix("0.00 s  echo: the gateway will end within 501 s\n"), text)
        XCTAssertTrue(text.hasSuffix("2.00 s  stream: closed by an error\n"))
    }

    func testColoursOfBothPathsStandOutFromTheirBackgroundAndWordsAreReadable() {
        for palette in [Palette.light, .dark] {
            for ground in [palette.page, palette.card] {
                for colour in [palette.wifi, palette.cellular, palette.alarm, palette.good] {
                    XCTAssertGreaterThanOrEqual(contrast(colour, ground), 3)
                }
                for colour in [palette.text, palette.soft] { XCTAssertGreaterThanOrEqual(contrast(colour, ground), 4.5) }
            }
        }
    }

    /// As WCAG 2 defines it.
    private func contrast(_ one: Colour, _ other: Colour) -> Double {
        func luminance(_ colour: Colour) -> Double {
            func linear(_ part: Double) -> Double { part <= 0.04045 ? part / 12.92 : pow((part + 0.055) / 1.055, 2.4) }
            let parts = colour.parts
            return 0.2126 * linear(parts.red) + 0.7152 * linear(parts.green) + 0.0722 * linear(parts.blue)
        }
        let (a, b) = (luminance(one), luminance(other))
        return (max(a, b) + 0.05) / (min(a, b) + 0.05)
    }
}
