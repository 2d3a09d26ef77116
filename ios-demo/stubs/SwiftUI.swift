// The few declarations of Apple's SwiftUI that the demo uses, written by hand, so that its screen can be compiled where there
// is no such framework. They do nothing, and Apple's own have more to them.
@_exported import Foundation

@MainActor @preconcurrency public protocol View {
    associatedtype Body: View
    @ViewBuilder var body: Body { get }
}

extension Never: View {
    public var body: Never { fatalError() }
}

/// What all the views that end here are.
public protocol Leaf: View where Body == Never {}
extension Leaf {
    public var body: Never { fatalError() }
}

public struct EmptyView: Leaf {}
public struct TupleView<each V: View>: Leaf {}
public struct Either<A: View, B: View>: Leaf {}
extension Optional: View where Wrapped: View {
    public var body: Never { fatalError() }
}

@resultBuilder public enum ViewBuilder {
    public static func buildBlock() -> EmptyView { EmptyView() }
    public static func buildBlock<V: View>(_ view: V) -> V { view }
    public static func buildBlock<each V: View>(_ views: repeat each V) -> TupleView<repeat each V> { TupleView() }
    public static func buildIf<V: View>(_ view: V?) -> V? { view }
    public static func buildEither<A: View, B: View>(first: A) -> Either<A, B> { Either() }
    public static func buildEither<A: View, B: View>(second: B) -> Either<A, B> { Either() }
    public static func buildExpression<V: View>(_ view: V) -> V { view }
}

@MainActor @preconcurrency public protocol App {
    associatedtype Body: Scene
    var body: Body { get }
    init()
}
extension App {
    public static func main() {}
}
@MainActor @preconcurrency public protocol Scene {}
public struct WindowGroup<Content: View>: Scene {
    public init(@ViewBuilder content: () -> Content) {}
}

@propertyWrapper public struct State<Value> {
    public var wrappedValue: Value
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
}
@propertyWrapper public struct Binding<Value> {
    public var wrappedValue: Value
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
}
@dynamicMemberLookup @propertyWrapper public struct Bindable<Value: AnyObject> {
    public var wrappedValue: Value
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
    public var projectedValue: Bindable<Value> { self }
    public subscript<Subject>(dynamicMember path: ReferenceWritableKeyPath<Value, Subject>) -> Binding<Subject> {
        Binding(wrappedValue: wrappedValue[keyPath: path])
    }
}
public enum ColorScheme: Sendable { case light, dark }
public struct EnvironmentValues {
    public var colorScheme: ColorScheme { .light }
}
@propertyWrapper public struct Environment<Value> {
    public let wrappedValue: Value
    public init(_ path: KeyPath<EnvironmentValues, Value>) { wrappedValue = EnvironmentValues()[keyPath: path] }
}
@propertyWrapper public struct ScaledMetric<Value: BinaryFloatingPoint> {
    public let wrappedValue: Value
    public init(wrappedValue: Value, relativeTo style: Font.TextStyle) { self.wrappedValue = wrappedValue }
}

public protocol ShapeStyle: Sendable {}
public struct Color: ShapeStyle, View, Leaf {
    public init(red: Double, green: Double, blue: Double, opacity: Double = 1) {}
}
public struct HierarchicalShapeStyle: ShapeStyle {}
extension ShapeStyle where Self == HierarchicalShapeStyle {
    public static var secondary: HierarchicalShapeStyle { HierarchicalShapeStyle() }
}
public struct Font: Sendable {
    public enum TextStyle: Sendable { case body }
    public static let headline = Font()
    public static let footnote = Font()
    public static let caption = Font()
    public static let caption2 = Font()
    public func monospacedDigit() -> Font { self }
}

public struct Text: Leaf {
    public init<S: StringProtocol>(_ content: S) {}
    nonisolated public func font(_ font: Font?) -> Text { self }
    nonisolated public func foregroundStyle<S: ShapeStyle>(_ style: S) -> Text { self }
    nonisolated public func monospacedDigit() -> Text { self }
}
public struct Spacer: Leaf { public init() {} }
public struct Form<Content: View>: Leaf { public init(@ViewBuilder content: () -> Content) {} }
public struct NavigationStack<Root: View>: Leaf { public init(@ViewBuilder root: () -> Root) {} }
public struct Section<Content: View>: Leaf {
    public init(@ViewBuilder content: () -> Content) {}
    public init<S: StringProtocol>(_ title: S, @ViewBuilder content: () -> Content) {}
}
public struct LabeledContent<Content: View>: Leaf {
    public init<S: StringProtocol>(_ title: S, @ViewBuilder content: () -> Content) {}
}
extension LabeledContent where Content == Text {
    public init<S: StringProtocol, T: StringProtocol>(_ title: S, value: T) {}
}
public struct TextField: Leaf {
    public init<S: StringProtocol>(_ prompt: S, text: Binding<String>) {}
}
public struct Picker<Value: Hashable, Content: View>: Leaf {
    public init<S: StringProtocol>(_ title: S, selection: Binding<Value>, @ViewBuilder content: () -> Content) {}
}
public struct ForEach<Data: RandomAccessCollection, ID: Hashable, Content: View>: Leaf {
    public init(_ data: Data, id: KeyPath<Data.Element, ID>, @ViewBuilder content: @escaping (Data.Element) -> Content) {}
    public init(_ data: Data, @ViewBuilder content: @escaping (Data.Element) -> Content)
    where Data.Element: Identifiable, ID == Data.Element.ID {}
}
public struct Button: Leaf {
    public init<S: StringProtocol>(_ title: S, action: @escaping @MainActor () -> Void) {}
}
public struct Stepper<Label: View>: Leaf {
    public init<V: Strideable>(
        value: Binding<V>, in bounds: ClosedRange<V>, step: V.Stride = 1, @ViewBuilder label: () -> Label,
        onEditingChanged: @escaping (Bool) -> Void = { _ in }
    ) {}
}
public struct ProgressView<Label: View>: Leaf {
    public init<V: BinaryFloatingPoint>(value: V?, total: V = 1, @ViewBuilder label: () -> Label) {}
}
public struct ShareLink: Leaf {
    public init<S: StringProtocol>(_ title: S, item: String) {}
}
public struct Label: Leaf {
    public init<S: StringProtocol>(_ title: S, systemImage name: String) {}
}
public enum HorizontalAlignment: Sendable { case leading }
public struct VStack<Content: View>: Leaf {
    public init(alignment: HorizontalAlignment, spacing: CGFloat?, @ViewBuilder content: () -> Content) {}
}
public struct HStack<Content: View>: Leaf { public init(@ViewBuilder content: () -> Content) {} }

public struct UnitPoint: Sendable {
    public static let leading = UnitPoint()
    public static let trailing = UnitPoint()
}
public struct StrokeStyle { public init(lineWidth: CGFloat, dash: [CGFloat]) {} }
public struct Path {
    public init() {}
    public init(_ rectangle: CGRect) {}
    public mutating func move(to point: CGPoint) {}
    public mutating func addLine(to point: CGPoint) {}
}
public struct GraphicsContext {
    public struct Shading { public static func color(_ color: Color) -> Shading { Shading() } }
    public func fill(_ path: Path, with shading: Shading) {}
    public func stroke(_ path: Path, with shading: Shading, style: StrokeStyle) {}
    public func draw(_ text: Text, at point: CGPoint, anchor: UnitPoint) {}
}
public struct Canvas: Leaf {
    public init(renderer: @escaping (inout GraphicsContext, CGSize) -> Void) {}
}

public struct TextContentType: Sendable { public static let URL = TextContentType() }
public enum KeyboardType: Sendable { case URL }
public struct Capitalization: Sendable { public static var never: Capitalization { Capitalization() } }
public enum TextAlignment: Sendable { case trailing }
public enum AccessibilityChildBehavior: Sendable { case ignore }

extension View {
    public func textContentType(_ type: TextContentType?) -> some View { self }
    public func keyboardType(_ type: KeyboardType) -> some View { self }
    public func autocorrectionDisabled(_ disable: Bool = true) -> some View { self }
    public func textInputAutocapitalization(_ capitalization: Capitalization?) -> some View { self }
    public func multilineTextAlignment(_ alignment: TextAlignment) -> some View { self }
    public func accessibilityLabel<S: StringProtocol>(_ label: S) -> some View { self }
    public func accessibilityValue<S: StringProtocol>(_ value: S) -> some View { self }
    public func accessibilityElement(children: AccessibilityChildBehavior) -> some View { self }
    public func tag<V: Hashable>(_ tag: V) -> some View { self }
    public func disabled(_ disabled: Bool) -> some View { self }
    public func frame(maxWidth: CGFloat?) -> some View { self }
    public func frame(height: CGFloat?) -> some View { self }
    public func bold(_ isActive: Bool = true) -> some View { self }
    public func font(_ font: Font?) -> some View { self }
    public func foregroundStyle<S: ShapeStyle>(_ style: S) -> some View { self }
    public func navigationTitle<S: StringProtocol>(_ title: S) -> some View { self }
    public func tint(_ colour: Color?) -> some View { self }
}
