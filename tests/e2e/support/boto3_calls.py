"""Runs boto3 calls for a test: reads {"service", "operation", "parameters"} a line, answers {"result"} or {"error"}."""
import json
import sys

import boto3
import botocore.exceptions

clients = {}
for line in sys.stdin:
    call = json.loads(line)
    if call["service"] not in clients:
        clients[call["service"]] = boto3.client(call["service"])
    try:
        result = getattr(clients[call["service"]], call["operation"])(**call["parameters"])
        answer = {"result": result}
    except botocore.exceptions.ClientError as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(answer, default=str), flush=True)
