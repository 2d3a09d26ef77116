package org.twinpath.faults

import java.io.Closeable
import kotlin.time.Duration
import kotlin.time.toJavaDuration
import org.twinpath.Role
import org.twinpath.TwinpathOptions
import org.twinpath.Waiting
import org.twinpath.asFfi
import org.twinpath.translated
import org.twinpath.ffi.Fault as FfiFault
import org.twinpath.ffi.FaultInjection as FfiFaultInjection

/** What is wrong with a path. */
public sealed interface Fault {
    /**
     * Nothing arrives, in neither direction, and nobody is told. What was sent meanwhile arrives when it is over, as TCP would
     * have it.
     */
    public data object Blackhole : Fault

    /** Everything takes so much longer, in each direction. A leg has 256 KiB on its way at most. */
    public data class Delay(val by: Duration) : Fault
}

/**
 * Faults on purpose: to show, and to test, what an app does when a path dies, without walking out of the house. The faults are
 * on the legs of the connectors that it was [injected][inject] into, not on the device; closing it leaves them as they are.
 *
 * ```kotlin
 * val faults = FaultInjection()
 * val connector = TwinpathConnector { inject(faults) }
 * faults.set(Role.PRIMARY, Fault.Blackhole) // Wi-Fi falls silent
 * faults.set(Role.PRIMARY, null) // and is back
 * ```
 */
public class FaultInjection : Closeable {
    internal val ffi: FfiFaultInjection

    init {
        Waiting.begin()
        ffi = translated { FfiFaultInjection() }
    }

    /** From now on the path has this fault, or none; legs that are open as well as those to come. */
    public fun set(role: Role, fault: Fault?) {
        translated { ffi.set(role.asFfi(), fault?.asFfi()) }
    }

    /** Resets every leg that the path has now, at both ends, as a middlebox does that forgot them. */
    public fun reset(role: Role) {
        translated { ffi.reset(role.asFfi()) }
    }

    override fun close() {
        ffi.close()
    }
}

/** Has the paths of the connector suffer from these faults. Such a connector does without the kernel's MPTCP. */
public fun TwinpathOptions.inject(faults: FaultInjection) {
    injected = faults
}

private fun Fault.asFfi(): FfiFault =
    when (this) {
        Fault.Blackhole -> FfiFault.Blackhole
        is Fault.Delay -> FfiFault.Delay(by.coerceAtLeast(Duration.ZERO).toJavaDuration())
    }
