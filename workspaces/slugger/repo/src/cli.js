#!/usr/bin/env node
import { createInterface } from "node:readline";

import { Slugger } from "./slugger.js";

const slugger = new Slugger();
for await (const line of createInterface({ input: process.stdin })) console.log(slugger.add(line));
