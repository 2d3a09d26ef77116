package org.twinpath.android

import android.content.BroadcastReceiver
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.net.ConnectivityManager
import android.net.LinkProperties
import android.net.Network
import android.net.NetworkCapabilities
import android.net.NetworkRequest
import android.os.Build
import android.os.Handler
import android.os.HandlerThread
import java.io.Closeable
import java.net.Inet4Address
import java.util.concurrent.CopyOnWriteArraySet
import org.twinpath.Cost
import org.twinpath.InterfaceKind
import org.twinpath.TwinpathLibrary
import org.twinpath.TwinpathNetwork

/** The networks of the device, for the whole process: one callback per transport, as long as somebody needs them. */
internal class DeviceNetworks private constructor(private val context: Context, private val manager: ConnectivityManager) {
    private class State(val kind: InterfaceKind) {
        var capabilities: NetworkCapabilities? = null
        var links: LinkProperties? = null
        var isBlocked = false
    }

    private val thread = HandlerThread("twinpath-networks").apply { start() }
    private val handler = Handler(thread.looper)
    private val savers = CopyOnWriteArraySet<(Boolean) -> Unit>()

    /** Under the lock of this, as all that follows. */
    private val known = LinkedHashMap<Network, State>()
    private var isSaving: Boolean? = null
    private var isTelling = false
    private var isClosed = false

    private val callbacks = TRANSPORTS.map { (transport, kind) ->
        val request = NetworkRequest.Builder()
            .addCapability(NetworkCapabilities.NET_CAPABILITY_INTERNET)
            .addTransportType(transport)
            .build()
        Told(kind).also { manager.registerNetworkCallback(request, it, handler) }
    }

    private val dataSaver = object : BroadcastReceiver() {
        override fun onReceive(context: Context, intent: Intent) = publish()
    }

    init {
        val filter = IntentFilter(ConnectivityManager.ACTION_RESTRICT_BACKGROUND_CHANGED)
        context.registerReceiver(dataSaver, filter, null, handler)
        handler.post(::publish)
    }

    /** Tells now, if it is known, and at every change whether data is to be saved. */
    fun onSaving(tell: (Boolean) -> Unit): Closeable {
        savers += tell
        handler.post { synchronized(this) { isSaving }?.let(tell) }
        return Closeable { savers -= tell }
    }

    @Synchronized
    private fun close() {
        isClosed = true
        callbacks.forEach(manager::unregisterNetworkCallback)
        context.unregisterReceiver(dataSaver)
        thread.quit()
        TwinpathLibrary.setNetworks(null)
        TwinpathLibrary.setProxyMandated(false)
    }

    @Synchronized
    private fun publish() {
        // Others may be telling by now.
        if (isClosed) return
        TwinpathLibrary.setProxyMandated(manager.defaultProxy != null)
        val networks = known.mapNotNull { (network, state) -> state.describe(network) }
        // Until the system has told of one, no list means that it has not told yet, and not that there is none.
        isTelling = isTelling || networks.isNotEmpty()
        if (isTelling) TwinpathLibrary.setNetworks(networks)
        // What the system would have an app spend on a path beside the default one, by the user's plan and settings.
        val cellular = known.entries.firstOrNull { it.value.kind == InterfaceKind.CELLULAR }?.key
        val preference = cellular?.let(manager::getMultipathPreference)
        val saving = manager.restrictBackgroundStatus == ConnectivityManager.RESTRICT_BACKGROUND_STATUS_ENABLED ||
            preference == 0
        if (saving != isSaving) {
            isSaving = saving
            savers.forEach { it(saving) }
        }
    }

    private inner class Told(private val kind: InterfaceKind) : ConnectivityManager.NetworkCallback() {
        private fun change(network: Network, what: State.() -> Unit) = synchronized(this@DeviceNetworks) {
            known.getOrPut(network) { State(kind) }.what()
            publish()
        }

        override fun onAvailable(network: Network) = change(network) {}

        override fun onCapabilitiesChanged(network: Network, capabilities: NetworkCapabilities) =
            change(network) { this.capabilities = capabilities }

        override fun onLinkPropertiesChanged(network: Network, links: LinkProperties) =
            change(network) { this.links = links }

        override fun onBlockedStatusChanged(network: Network, blocked: Boolean) =
            change(network) { isBlocked = blocked }

        override fun onLost(network: Network) = synchronized(this@DeviceNetworks) {
            known.remove(network)
            publish()
        }
    }

    private fun State.describe(network: Network): TwinpathNetwork? {
        val capabilities = capabilities ?: return null
        val links = links ?: return null
        val name = links.interfaceName ?: return null
        val isUsable = !isBlocked &&
            !capabilities.hasCapability(NetworkCapabilities.NET_CAPABILITY_CAPTIVE_PORTAL) &&
            (Build.VERSION.SDK_INT < 28 || capabilities.hasCapability(NetworkCapabilities.NET_CAPABILITY_NOT_SUSPENDED))
        if (!isUsable) return null
        val routes = links.routes.filter { it.isDefaultRoute }.map { it.destination.address is Inet4Address }
        return TwinpathNetwork(
            name = name,
            kind = kind,
            addresses = links.linkAddresses.map { it.address },
            cost = capabilities.cost(),
            hasIpv4 = true in routes,
            hasIpv6 = false in routes,
            handle = network.networkHandle,
        )
    }

    companion object {
        private val TRANSPORTS = listOf(
            NetworkCapabilities.TRANSPORT_WIFI to InterfaceKind.WIFI,
            NetworkCapabilities.TRANSPORT_ETHERNET to InterfaceKind.WIRED,
            NetworkCapabilities.TRANSPORT_CELLULAR to InterfaceKind.CELLULAR,
        )

        private var current: DeviceNetworks? = null
        private var uses = 0

        @Synchronized
        fun acquire(context: Context, manager: ConnectivityManager): DeviceNetworks {
            val networks = current ?: DeviceNetworks(context, manager).also { current = it }
            uses += 1
            return networks
        }

        @Synchronized
        fun release() {
            uses -= 1
            if (uses == 0) {
                current?.close()
                current = null
            }
        }
    }
}

internal fun NetworkCapabilities.cost(): Cost =
    when {
        Build.VERSION.SDK_INT >= 28 && !hasCapability(NetworkCapabilities.NET_CAPABILITY_NOT_ROAMING) -> Cost.ROAMING
        hasCapability(NetworkCapabilities.NET_CAPABILITY_NOT_METERED) -> Cost.UNMETERED
        else -> Cost.METERED
    }
