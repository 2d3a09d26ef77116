package org.twinpath.demo

import android.app.Application
import org.twinpath.android.TwinpathAndroid

/** Holds what goes on when the screen is turned. */
class DemoApplication : Application() {
    // All networks, permissions and the app's life cycle are the helper's business: in the background it lets go of the paths.
    internal val demo: Demo by lazy { Demo { options -> TwinpathAndroid.connector(this, options = options) } }
}
