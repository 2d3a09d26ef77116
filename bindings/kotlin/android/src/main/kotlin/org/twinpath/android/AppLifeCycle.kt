package org.twinpath.android

import android.app.Activity
import android.app.Application
import android.os.Bundle
import android.os.Handler
import android.os.Looper
import java.io.Closeable

/**
 * Tells when the last activity of the app has stopped, and when one starts again. Between two activities, and when the screen
 * is turned, there is none for a moment: that is waited for.
 */
internal class AppLifeCycle(
    private val app: Application,
    private val toBackground: () -> Unit,
    private val toForeground: () -> Unit,
) : Application.ActivityLifecycleCallbacks, Closeable {
    private val handler = Handler(Looper.getMainLooper())
    private val started = mutableSetOf<Activity>()
    private var isInBackground = false
    private val leave = Runnable {
        isInBackground = true
        toBackground()
    }

    init {
        app.registerActivityLifecycleCallbacks(this)
    }

    override fun onActivityStarted(activity: Activity) {
        started += activity
        handler.removeCallbacks(leave)
        if (isInBackground) {
            isInBackground = false
            toForeground()
        }
    }

    override fun onActivityStopped(activity: Activity) {
        started -= activity
        if (started.isEmpty() && !activity.isChangingConfigurations) handler.postDelayed(leave, PAUSE_MILLIS)
    }

    override fun onActivityCreated(activity: Activity, state: Bundle?) = Unit

    override fun onActivityResumed(activity: Activity) = Unit

    override fun onActivityPaused(activity: Activity) = Unit

    override fun onActivitySaveInstanceState(activity: Activity, state: Bundle) = Unit

    override fun onActivityDestroyed(activity: Activity) = Unit

    override fun close() {
        app.unregisterActivityLifecycleCallbacks(this)
        handler.removeCallbacks(leave)
    }

    private companion object {
        const val PAUSE_MILLIS = 700L
    }
}
