#if canImport(Network)
    import Network

    // What the system says, in the words of this package.

    extension DialSetback {
        init(_ error: NWError) {
            switch error {
            case .posix(let code): self.init(kind: .other, message: "\(error)", osCode: code.rawValue)
            case .dns: self.init(kind: .nameNotFound, message: "\(error)")
            default: self.init(kind: .other, message: "\(error)")
            }
        }
    }

    extension LegDial.Network {
        init(_ path: NWPath?) {
            switch (path?.status, path?.unsatisfiedReason) {
            case (.satisfied, _): self = .present
            case (_, .cellularDenied), (_, .wifiDenied), (_, .localNetworkDenied): self = .denied
            default: self = .absent
            }
        }
    }

    extension NWParameters.MultipathServiceType {
        init(_ service: ServiceType) {
            switch service {
            case .handover: self = .handover
            case .interactive: self = .interactive
            case .aggregate: self = .aggregate
            }
        }
    }
#endif
