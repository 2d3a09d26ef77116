import DemoModel
import SwiftUI

@main
struct TwinpathDemoApp: App {
    /// Of the app, not of a screen: it goes on when screens come and go.
    @State private var model = DemoViewModel()

    var body: some Scene {
        WindowGroup {
            NavigationStack { DemoScreen(model: model) }
        }
    }
}
