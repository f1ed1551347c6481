// Package samples tests that the C programs of the documentation are what they are said to be.
package samples
