import DemoModel
import SwiftUI
import Twinpath

/// The one screen.
struct DemoScreen: View {
    @Bindable var model: DemoViewModel
    @Environment(\.colorScheme) private var scheme
    private let language = Language.ofApp

    var body: some View {
        Form {
            Section {
                LabeledContent(language.say(.server)) {
                    TextField(language.say(.serverHint), text: $model.server)
                        .textContentType(.URL)
                        .keyboardType(.URL)
                        .autocorrectionDisabled()
                        .textInputAutocapitalization(.never)
                        .multilineTextAlignment(.trailing)
                        .accessibilityLabel(language.say(.server))
                }
                Picker(language.say(.service), selection: $model.service) {
                    ForEach(ServiceType.allCases, id: \.self) { Text(language.say($0.key)).tag($0) }
                }
            }
            .disabled(model.isActive)
            Section {
                Button(language.say(model.isActive ? .stop : .start), action: startOrStop)
                    .frame(maxWidth: .infinity)
                    .bold()
            }
            Section { status }
            Section {
                TrafficView(chart: model.chart, palette: palette, language: language, rate: model.ratePhrase)
                    .accessibilityElement(children: .ignore)
                    .accessibilityLabel(language.say(.chart))
                    .accessibilityValue(language.say(model.chartPhrase))
            }
            Section { budget }
            Section {
                Picker(language.say(.fault), selection: $model.chosenFault) {
                    ForEach(FaultChoice.allCases, id: \.self) { Text(language.say($0.key)).tag($0) }
                }
                .disabled(!model.isActive)
            }
            Section(language.say(.log)) {
                ShareLink(language.say(.share), item: model.log.text(in: language))
                    .disabled(model.log.entries.isEmpty)
                ForEach(model.log.entries.reversed()) { entry in
                    Text(language.say(entry.phrase)).font(.caption.monospacedDigit())
                }
            }
        }
        .navigationTitle(language.say(.title))
        .tint(Color(palette.wifi))
    }

    private var palette: Palette { scheme == .dark ? .dark : .light }

    @ViewBuilder private var status: some View {
        Text(language.say(model.statePhrase)).font(.headline)
        if case .failed(_, let detail) = model.state, !detail.isEmpty {
            Text(detail).font(.footnote).foregroundStyle(Color(palette.alarm))
        }
        if let protection = model.protectionPhrase {
            Text(language.say(protection))
                .foregroundStyle(Color(model.isProtected ? palette.good : palette.text))
        }
        if let mode = model.modePhrase {
            Text(language.say(mode)).font(.footnote).foregroundStyle(.secondary)
        }
        if let delays = model.delayPhrase {
            Text(language.say(delays)).font(.footnote.monospacedDigit()).foregroundStyle(.secondary)
        }
    }

    @ViewBuilder private var budget: some View {
        Stepper(value: $model.budget, in: 0...(DemoViewModel.budgets.count - 1)) {
            LabeledContent(language.say(.budget), value: language.say(model.budgetChoice))
        }
        .accessibilityValue(language.say(model.budgetChoice))
        ProgressView(value: model.budgetShare) {
            Text(language.say(model.budgetPhrase)).font(.footnote.monospacedDigit())
        }
        .tint(Color(palette.cellular))
    }

    private func startOrStop() {
        if model.isActive {
            Task { await model.stop() }
        } else {
            model.start()
        }
    }
}

extension Language {
    /// What the app's own files say, in the language that the system has chosen among them.
    static let ofApp = Language(.current) { Bundle.main.localizedString(forKey: $0, value: nil, table: nil) }
}

extension Color {
    init(_ colour: Colour) {
        let parts = colour.parts
        self.init(red: parts.red, green: parts.green, blue: parts.blue)
    }
}
