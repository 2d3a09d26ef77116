package org.twinpath

import org.twinpath.ffi.CellularUse as FfiCellularUse

/**
 * Told when legs over cellular begin and end, so that the network is asked for no longer than that. Whoever is told asks no
 * connection for anything meanwhile: the library is in the middle of one's affairs.
 */
public interface CellularUse {
    /** One more leg is being opened over cellular. Called on a thread of the library: it has to return at once. */
    public fun begin()

    /** One of them is gone. */
    public fun end()
}

internal class CalledUse(private val use: CellularUse) : FfiCellularUse {
    override fun begin() = answered { use.begin() }

    override fun end() = answered { use.end() }
}
