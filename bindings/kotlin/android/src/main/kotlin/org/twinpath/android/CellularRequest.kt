package org.twinpath.android

import android.net.ConnectivityManager
import android.net.NetworkCapabilities
import android.net.NetworkRequest
import android.os.Handler
import android.os.Looper
import java.io.Closeable
import org.twinpath.CellularUse

/**
 * Asks the system for the cellular network while legs use it, and some seconds longer: a request keeps the radio awake, and
 * the network may be only a background one without it.
 */
internal class CellularRequest(private val manager: ConnectivityManager) : CellularUse, Closeable {
    private val handler = Handler(Looper.getMainLooper())
    private var legs = 0
    private var request: ConnectivityManager.NetworkCallback? = null
    private var isClosed = false
    private val release = Runnable { releaseUnused() }

    @Synchronized
    override fun begin() {
        legs += 1
        handler.removeCallbacks(release)
        if (request != null || isClosed) return
        val wanted = NetworkRequest.Builder()
            .addCapability(NetworkCapabilities.NET_CAPABILITY_INTERNET)
            .addTransportType(NetworkCapabilities.TRANSPORT_CELLULAR)
            .build()
        // What comes of it is told to all by DeviceNetworks.
        val callback = ConnectivityManager.NetworkCallback()
        try {
            manager.requestNetwork(wanted, callback)
            request = callback
        } catch (_: RuntimeException) {
            // A hundred requests of this app are there already, or it is not allowed to: the network is used if it is up.
        }
    }

    @Synchronized
    override fun end() {
        legs -= 1
        if (legs == 0) handler.postDelayed(release, LINGER_MILLIS)
    }

    @Synchronized
    private fun releaseUnused() {
        if (legs > 0) return
        request?.let(manager::unregisterNetworkCallback)
        request = null
    }

    @Synchronized
    override fun close() {
        isClosed = true
        legs = 0
        handler.removeCallbacks(release)
        releaseUnused()
    }

    private companion object {
        /** The next leg often follows soon, and to wake a radio takes longer than this costs. */
        const val LINGER_MILLIS = 5_000L
    }
}
