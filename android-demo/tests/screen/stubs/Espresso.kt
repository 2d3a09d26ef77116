// What Robolectric names of androidx.test, which is in Google's repository only: enough of it to run without.
package androidx.test.espresso

import android.os.Looper

interface IdlingResource {
    interface ResourceCallback

    fun getName(): String
}

object IdlingRegistry {
    @JvmStatic
    fun getInstance(): IdlingRegistry = this

    fun getLoopers(): Collection<Looper> = emptyList()

    fun getResources(): Collection<IdlingResource> = emptyList()
}
