import { defineConfig } from 'vite';
import { stub } from './stub.ts';

export default defineConfig({ root: import.meta.dirname, plugins: [stub()], server: { port: 6007 } });
