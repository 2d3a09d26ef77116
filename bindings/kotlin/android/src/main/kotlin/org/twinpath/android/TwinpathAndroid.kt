package org.twinpath.android

import android.app.Application
import android.content.Context
import android.net.ConnectivityManager
import android.util.Log
import org.twinpath.TwinpathConnector
import org.twinpath.TwinpathException
import org.twinpath.TwinpathOptions

/**
 * Ties connectors to the device: its networks, what they cost and whether they may be used, and the life cycle of the app.
 * Needs the permissions of the library's manifest, which an app has by depending on it.
 */
public object TwinpathAndroid {
    /**
     * A connector that
     * - binds its sockets to the device's networks, of which `ConnectivityManager` tells, and looks names up in each;
     * - asks for the cellular network only while a leg uses it, or one is about to;
     * - spends nothing on the backup when Data Saver is on, when the system says that no multipath data is to be spent, or
     *   while roaming;
     * - has HTTP clients trust whom the app trusts: the device's roots, as its network security configuration has it for each
     *   host;
     * - is suspended while the app is in the background, and resumed when it comes back. An app whose work goes on in a
     *   foreground service sets [followsLifeCycle] to `false`.
     *
     * Closing the connector ends all of it.
     */
    public fun connector(
        context: Context,
        followsLifeCycle: Boolean = true,
        options: TwinpathOptions.() -> Unit = {},
    ): TwinpathConnector {
        val app = context.applicationContext
        val manager = app.getSystemService(Context.CONNECTIVITY_SERVICE) as ConnectivityManager
        val networks = DeviceNetworks.acquire(app, manager)
        val cellular = CellularRequest(manager)
        val connector = try {
            TwinpathConnector {
                cellularUse = cellular
                serverTrust = DeviceTrust
                options()
            }
        } catch (failed: Exception) {
            DeviceNetworks.release()
            throw failed
        }
        val saver = networks.onSaving { isSaving -> told { connector.setDataSaving(isSaving) } }
        // Without one of its own, a process has nothing that goes to the background.
        val lifeCycle = (app as? Application)?.takeIf { followsLifeCycle }?.let {
            AppLifeCycle(it, { told { connector.suspend() } }, { told { connector.resume() } })
        }
        connector.onClose = {
            lifeCycle?.close()
            saver.close()
            cellular.close()
            DeviceNetworks.release()
        }
        return connector
    }

    /** What the system brings about has nobody to fail for: a connector may be closed meanwhile. */
    private inline fun told(call: () -> Unit) {
        try {
            call()
        } catch (failed: TwinpathException) {
            Log.w("twinpath", failed.message.orEmpty())
        }
    }
}
