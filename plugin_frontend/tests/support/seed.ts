import fc from 'fast-check';

// The same examples on every machine and in every run, as in the Python tests.
fc.configureGlobal({ seed: 20_261_121 });
