internal import TwinpathCore

/// A network of the device, as the platform's framework tells of it.
public struct TwinpathNetwork: Sendable, Hashable {
    /// The system's name of its interface, as in `en0`.
    public var name: String
    /// The index of its interface, 0 if nobody says.
    public var index: Int
    /// What it is.
    public var kind: InterfaceKind
    /// What a byte costs.
    public var cost: Cost
    /// Addresses of the device in it.
    public var addresses: [String]
    /// Whether it leads to the internet by IPv4; `nil` if nobody says.
    public var hasIPv4: Bool?
    /// Whether it leads to the internet by IPv6; `nil` if nobody says.
    public var hasIPv6: Bool?

    public init(
        name: String, index: Int = 0, kind: InterfaceKind, cost: Cost = .unknown, addresses: [String],
        hasIPv4: Bool? = nil, hasIPv6: Bool? = nil
    ) {
        (self.name, self.index, self.kind, self.cost) = (name, index, kind, cost)
        (self.addresses, self.hasIPv4, self.hasIPv6) = (addresses, hasIPv4, hasIPv6)
    }

    var core: Network {
        let leadsOut = hasIPv4 == nil && hasIPv6 == nil ? nil : Families(v4: hasIPv4 ?? false, v6: hasIPv6 ?? false)
        return Network(
            name: name, index: UInt32(clamping: index), kind: kind.core, cost: cost.core, addresses: addresses,
            leadsOut: leadsOut, networkHandle: nil)
    }
}
